# fish completion for swapinit, written by go test ./cmd/swapinit -update

# What is typed so far: nothing, a verb, flags, all that stands before a command (start),
# or a command.
function __swapinit_typed
    set -l words (commandline -opc)[2..]
    if test (count $words) -eq 0
        echo nothing
        return
    end
    if contains -- $words[1] swap restart rollback promote message status metrics health stop version gate wait check help
        if test $words[1] = swap; and test $words[-1] = --
            echo start
        else if test $words[1] = swap; and contains -- -- $words
            echo command
        else
            echo $words[1]
        end
        return
    end
    while test (count $words) -gt 0
        switch $words[1]
            case --
                test (count $words) -eq 1; and echo start; or echo command
                return
            case -e -r --rewrite -p
                set -e words[1]
            case '-*'
            case '*'
                echo command
                return
        end
        set -e words[1]
    end
    echo flags
end

function __swapinit_at
    contains -- (__swapinit_typed) $argv
end

complete -c swapinit -n '__swapinit_at nothing flags start' -a '(__fish_complete_command)'
complete -c swapinit -n '__swapinit_at nothing flags' -s g -d 'forward signals to the process group'
complete -c swapinit -n '__swapinit_at nothing flags' -s e -x -d 'exit status N counts as 0'
complete -c swapinit -n '__swapinit_at nothing flags' -s r -l rewrite -x -d 'rewrite a forwarded signal, TO 0 drops it'
complete -c swapinit -n '__swapinit_at nothing flags' -s p -x -d 'get SIGNAL when the parent dies'
complete -c swapinit -n '__swapinit_at nothing flags' -s v -l verbose -d 'log more'
complete -c swapinit -n '__swapinit_at nothing flags' -s w -d 'log every orphan that is reaped'
complete -c swapinit -n '__swapinit_at nothing flags' -s c -s s -l single-child -d 'accepted, already so'
complete -c swapinit -n '__swapinit_at nothing flags' -s V -l version -d 'print the version'
complete -c swapinit -n '__swapinit_at nothing flags' -s h -l help -d 'print the help'

complete -c swapinit -n '__swapinit_at nothing' -a swap -d 'replace the running server, or call that off'
complete -c swapinit -n '__swapinit_at swap' -f
complete -c swapinit -n '__swapinit_at swap' -l no-wait -d 'return when the swap was asked for; it may still fail'
complete -c swapinit -n '__swapinit_at swap' -l follow -d 'stay until the new generation has ended'
complete -c swapinit -n '__swapinit_at swap' -l timeout -x -d 'in place of SWAPINIT_READY_TIMEOUT'
complete -c swapinit -n '__swapinit_at swap' -l strategy -x -a 'overlap handover replace' -d 'overlap, handover or replace (SWAPINIT_STRATEGY)'
complete -c swapinit -n '__swapinit_at swap' -l canary -x -a 'off' -d 'share of new connections for how long (SWAPINIT_CANARY)'
complete -c swapinit -n '__swapinit_at swap' -l canary-by -x -a 'random client' -d 'random, client, or networks (SWAPINIT_CANARY_BY)'
complete -c swapinit -n '__swapinit_at swap' -l cancel -d 'call off the swap that runs'
complete -c swapinit -n '__swapinit_at swap' -l json -d 'print how it went as one object, in place of the stages'
complete -c swapinit -n '__swapinit_at swap' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a restart -d 'replace it by the same command, or a side'
complete -c swapinit -n '__swapinit_at restart' -f
complete -c swapinit -n '__swapinit_at restart' -l force -d 'kill the predecessor at once; its connections are lost'
complete -c swapinit -n '__swapinit_at restart' -l no-wait -d 'return when the restart was asked for; it may still fail'
complete -c swapinit -n '__swapinit_at restart' -l timeout -x -d 'in place of SWAPINIT_READY_TIMEOUT'
complete -c swapinit -n '__swapinit_at restart' -l json -d 'print how it went as one object, in place of the stages'
complete -c swapinit -n '__swapinit_at restart' -l side -x -d 'not the server, but SWAPINIT_SIDE_<NAME>; goes with no other option'
complete -c swapinit -n '__swapinit_at restart' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a rollback -d 'give the traffic back to the predecessor'
complete -c swapinit -n '__swapinit_at rollback' -f
complete -c swapinit -n '__swapinit_at rollback' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a promote -d 'give the successor all the traffic now'
complete -c swapinit -n '__swapinit_at promote' -f
complete -c swapinit -n '__swapinit_at promote' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a message -d 'send JSON or a string to every worker'
complete -c swapinit -n '__swapinit_at message' -f
complete -c swapinit -n '__swapinit_at message' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a status -d 'show generations and endpoints'
complete -c swapinit -n '__swapinit_at status' -f
complete -c swapinit -n '__swapinit_at status' -l json -d 'print one object, as docs/control.md describes it'
complete -c swapinit -n '__swapinit_at status' -l watch -d 'print it again every second, until Ctrl-C or the end of the init'
complete -c swapinit -n '__swapinit_at status' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a metrics -d 'print OpenMetrics text'
complete -c swapinit -n '__swapinit_at metrics' -f
complete -c swapinit -n '__swapinit_at metrics' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a health -d 'exit 0 when ready (for HEALTHCHECK)'
complete -c swapinit -n '__swapinit_at health' -f
complete -c swapinit -n '__swapinit_at health' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a stop -d 'stop the container'
complete -c swapinit -n '__swapinit_at stop' -f
complete -c swapinit -n '__swapinit_at stop' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a version -d 'print the version'
complete -c swapinit -n '__swapinit_at version' -f
complete -c swapinit -n '__swapinit_at version' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a gate -d 'keep the endpoints for other containers'
complete -c swapinit -n '__swapinit_at gate' -f
complete -c swapinit -n '__swapinit_at gate' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a wait -d 'at a gate: until NAME has all the traffic'
complete -c swapinit -n '__swapinit_at wait' -f
complete -c swapinit -n '__swapinit_at wait' -l timeout -x -d 'no longer than that (a minute)'
complete -c swapinit -n '__swapinit_at wait' -l or-rollback -d 'if it does not get there, the traffic goes back first'
complete -c swapinit -n '__swapinit_at wait' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a check -d 'what would go wrong with a swap, or at a gate'
complete -c swapinit -n '__swapinit_at check' -f
complete -c swapinit -n '__swapinit_at check' -l json -d 'print one object, as docs/control.md describes it'
complete -c swapinit -n '__swapinit_at check' -l help -d 'print what it does'

complete -c swapinit -n '__swapinit_at nothing' -a help -d 'print the help, or what a verb does'
complete -c swapinit -n '__swapinit_at help' -f
complete -c swapinit -n '__swapinit_at help' -l help -d 'print what it does'
complete -c swapinit -n '__swapinit_at help' -a 'swap restart rollback promote message status metrics health stop version gate wait check help'
