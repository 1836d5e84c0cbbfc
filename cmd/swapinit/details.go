//go:build linux

package main

import "strings"

// details is what `help VERB` says below the usage, a block for each verb. The man pages and
// the completions are written from it, so its heads and its columns are always the same. It
// is one text, so that it lies in one place in memory, which nobody reads who does not ask.
const details = `
# swap
Starts a successor with the same sockets, waits until it is ready and has settled,
moves the traffic, and ends the predecessor. A successor that fails costs nothing.
Waits as long as that takes; Ctrl-C ends the verb, not the swap.

options:
  --no-wait            return when the swap was asked for; it may still fail
  --follow             stay until the new generation has ended
  --timeout D          in place of SWAPINIT_READY_TIMEOUT
  --strategy S         overlap, handover or replace (SWAPINIT_STRATEGY)
  --canary STAGES|off  share of new connections for how long (SWAPINIT_CANARY)
  --canary-by B        random, client, or networks (SWAPINIT_CANARY_BY)
  --cancel             call off the swap that runs
  --json               print how it went as one object, in place of the stages
  -- command arg...    run this, in later swaps too

exit status:
  0    done; with --follow: the new generation was replaced
  1    it failed, and the predecessor serves
  N    with --follow: the status with which the new generation ended
  2    usage
  125  no init to talk to

examples:
  swapinit swap
  swapinit swap --canary 5%/1m,25%/5m -- /srv/v2/server --port 8080

# restart
A swap to the command that runs: all workers are new, as another generation. With
--side it starts a process beside the server again, and waits until that runs.

options:
  --force      kill the predecessor at once; its connections are lost
  --no-wait    return when the restart was asked for; it may still fail
  --timeout D  in place of SWAPINIT_READY_TIMEOUT
  --json       print how it went as one object, in place of the stages
  --side NAME  not the server, but SWAPINIT_SIDE_<NAME>; goes with no other option

exit status:
  0    done
  1    it failed, and the predecessor serves
  2    usage
  125  no init to talk to

examples:
  swapinit restart --timeout 2m

# rollback
Gives the traffic back to the predecessor at once, as long as that was not told to
stop (SWAPINIT_KEEP keeps it), and retires the successor. A swap that runs is called
off. At a gate: to the container that had the traffic before.

exit status:
  0    done
  1    there is nothing to go back to
  2    usage
  125  no init to talk to

examples:
  swapinit rollback

# promote
Ends a canary: the successor gets all new connections now. After a swap it ends
keeping: the predecessor drains and stops.

exit status:
  0    done
  1    no canary runs, and no predecessor is kept
  2    usage
  125  no init to talk to

examples:
  swapinit promote

# message
Sends DATA to every worker of the active generation, as JSON where it is JSON, else as
a string, and prints how many got it. DATA that begins with - stands after --.

exit status:
  0    delivered
  1    nobody got it
  2    usage
  125  no init to talk to

examples:
  swapinit message '{"reload":["certs"]}'

# status
Shows each generation (state, pid, uptime, share of new connections), the endpoints, the
swap that runs, and how the last one went. At a gate: the containers that have joined.

options:
  --json   print one object, as docs/control.md describes it
  --watch  print it again every second, until Ctrl-C or the end of the init

exit status:
  0    printed
  1    no answer
  2    usage
  125  no init to talk to

examples:
  swapinit status --watch

# metrics
Prints what status knows as OpenMetrics text, as SWAPINIT_METRICS serves it over HTTP.

exit status:
  0    printed
  1    no answer
  2    usage
  125  no init to talk to

examples:
  swapinit metrics

# health
Says whether the server is ready; at a gate, whether its endpoints are open.

exit status:
  0    healthy
  1    not healthy, or no answer
  2    usage
  125  no init to talk to

examples:
  swapinit health

# stop
Stops the container as TERM does.

exit status:
  0    it has begun to stop
  1    no answer
  2    usage
  125  no init to talk to

examples:
  swapinit stop

# version
Prints the version of this program, and that of the init where it is another one.

exit status:
  0    printed, with or without an init
  2    usage

examples:
  swapinit version

# gate
Runs as the init of a container of its own, or as a service: opens the endpoints in
SWAPINIT_LISTEN, keeps them, and lets other containers join at SWAPINIT_GATE. Starts
nothing. All settings are environment variables.

exit status:
  0    it was told to stop
  125  a bad setting, an endpoint that cannot be opened, another gate on the volume

examples:
  SWAPINIT_LISTEN=:8080 swapinit gate

# wait
At a gate: waits until NAME, a release or a container id, has all the traffic and has
settled.

options:
  --timeout D    no longer than that (a minute)
  --or-rollback  if it does not get there, the traffic goes back first

exit status:
  0    it has all the traffic
  1    it failed, was superseded, has left, or the time is over
  2    usage
  125  no init to talk to

examples:
  swapinit wait v2 --timeout 5m --or-rollback

# check
Says what would go wrong with a swap, or at a gate with a takeover, a line each: what,
why, what to set.

options:
  --json  print one object, as docs/control.md describes it

exit status:
  0    nothing to mend
  1    something to mend, or no answer
  2    usage
  125  no init to talk to

examples:
  swapinit check

# help
Prints the usage of all verbs, the flags, and the names of the settings; or this, for
VERB.

exit status:
  0    printed
  2    usage

examples:
  swapinit help swap
`

// detailsOf is what details has for a verb of program, with its final newline.
func detailsOf(program, verb string) string {
	_, block, _ := strings.Cut(details, "\n# "+verb+"\n")
	block, _, _ = strings.Cut(block, "\n# ")
	return strings.ReplaceAll(strings.TrimRight(block, "\n"), " swapinit ", " "+program+" ") + "\n"
}
