package config

import "slices"

// verbs are the first arguments that are not a command. `swapinit -- stop`
// runs a program of that name.
var verbs = [...]string{
	"swap", "status", "health", "stop", "restart", "rollback", "promote", "message", "check", "version", "help",
}

// Verb says whether args (without the program's name) ask a running swapinit
// for something: their first one is a verb. rest is what follows it.
func Verb(args []string) (verb string, rest []string, ok bool) {
	if len(args) == 0 || !slices.Contains(verbs[:], args[0]) {
		return "", nil, false
	}
	return args[0], args[1:], true
}

const usageText = `swapinit: init for containers that replaces the server inside, with no connection lost

usage:
  swapinit [flags] [--] command [arg...]     run command as init (the ENTRYPOINT)
  swapinit swap [--no-wait] [--follow] [--timeout D] [--strategy S] [--canary STAGES]
                [-- command arg...]          replace the running server
  swapinit restart [--force] [--no-wait] [--timeout D]
                                             replace it by the same command
  swapinit rollback                          give the traffic back to the predecessor
  swapinit promote                           give the successor all the traffic now
  swapinit message DATA                      send JSON or a string to every worker
  swapinit status [--json] [--watch]         show generations and endpoints
  swapinit health                            exit 0 when ready (for HEALTHCHECK)
  swapinit stop                              stop the container
  swapinit version                           print the version
  swapinit help                              print this text

flags, up to the first argument that is not one:
  -g              forward signals to the process group
  -e N            exit status N counts as 0 (repeatable)
  -r FROM:TO      rewrite a forwarded signal, TO 0 drops it (repeatable; --rewrite)
  -p SIGNAL       get SIGNAL when the parent dies
  -v              log more (repeatable; --verbose)
  -w              log every orphan that is reaped
  -c, -s          accepted, already so (--single-child; subreaper)
  -V, --version   print the version
  -h, --help      print this text

exit status: the command's own, 128+n when signal n ended it, 127 not found,
126 not executable, 125 swapinit's own error

settings are environment variables, described in docs/environment.md:
  SWAPINIT_LISTEN        SWAPINIT_STOP_SIGNAL       SWAPINIT_KILL_GROUP
  SWAPINIT_EXPORT        SWAPINIT_STOP_SIGNALS      SWAPINIT_SIGNAL_MAP
  SWAPINIT_DIR           SWAPINIT_STOP_TIMEOUT      SWAPINIT_EXIT_MAP
  SWAPINIT_USER          SWAPINIT_STOP_DELAY        SWAPINIT_SWAP_SIGNALS
  SWAPINIT_ENV_FILE      SWAPINIT_RETIRE_SIGNAL     SWAPINIT_SWAP_COMMAND
  SWAPINIT_READY         SWAPINIT_RETIRE_TIMEOUT    SWAPINIT_TARGET_FILE
  SWAPINIT_READY_TIMEOUT SWAPINIT_LEFTOVER_TIMEOUT  SWAPINIT_MAX_GENERATIONS
  SWAPINIT_SETTLE        SWAPINIT_WATCHDOG          SWAPINIT_CONTROL
  SWAPINIT_LOG           SWAPINIT_LOG_FORMAT        SWAPINIT_COLOR
  SWAPINIT_STEER         SWAPINIT_DRAIN             SWAPINIT_DRAIN_TIMEOUT
  SWAPINIT_CANARY        SWAPINIT_CANARY_CHECK      SWAPINIT_IDLE_AFTER
  SWAPINIT_KEEP          SWAPINIT_STRATEGY          SWAPINIT_RESPAWN
  SWAPINIT_WORKERS       SWAPINIT_BATCH             SWAPINIT_WATCH
  SWAPINIT_PRE_SWAP      SWAPINIT_POST_SWAP         SWAPINIT_HOOK_TIMEOUT
  SWAPINIT_NODE_IPC
`

// Usage is the text of `swapinit help`, with its final newline.
func Usage() string { return usageText }
