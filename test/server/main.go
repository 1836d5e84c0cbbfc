// Command server is the HTTP server that the end-to-end tests and the demo run
// under swapinit. It takes its socket in any of the dialects that swapinit
// speaks, says that it is ready in any of the accepted ways, and misbehaves on
// demand.
//
// Everything that happens to it is one line on standard output
// ("gen 2: got TERM"), so that a test can look at the order of events in the
// whole container: the file is opened for appending, and a line is one write.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options are the command line. The zero behaviour is that of a good server:
// the socket from the environment, readiness by pipe or notify, and on TERM
// everything that was accepted is answered before it exits.
type options struct {
	from       string
	ready      string
	gate       string
	boot       time.Duration
	stop       string
	on         string
	status     int
	die        string
	dieStatus  int
	dieSignal  string
	take       string
	atBoot     string
	side       string
	sideGate   string
	extend     time.Duration
	strays     int
	strayStop  string
	straySame  bool
	strayHolds bool
	watchdog   string
	becomeRoot bool
	mainpid    bool
	say        string
	work       time.Duration
	acceptGate string
	health     string
	reuseport  string
	worker     bool
	only       int
	hand       string
	deaf       bool
	takedown   string
	bind       []string
	setuid     string
	hidden     bool
	prefork    int
}

func parse(args []string) options {
	var o options
	f := flag.NewFlagSet("server", flag.ExitOnError)
	f.StringVar(&o.from, "from", "auto", "where the socket comes from: auto, systemd, starter, einhorn, stdin, none")
	f.StringVar(&o.ready, "ready", "auto", "how readiness is said: auto, pipe, notify, pieces, eof, bare, channel, none")
	f.StringVar(&o.gate, "gate", "", "wait until this file exists before serving")
	f.DurationVar(&o.boot, "boot", 0, "time that booting takes")
	f.StringVar(&o.stop, "stop", "finish", "what a stop signal does: finish, shutdown, exit, ignore, default (it is not caught), shut (shutdown(2) of its listeners, then finish)")
	f.StringVar(&o.on, "on", "TERM", "stop signals, separated by commas")
	f.IntVar(&o.status, "status", 0, "exit status after a stop signal")
	f.StringVar(&o.die, "die", "", "die by itself: boot, ready (without accepting anything), go (when it is told to take a resource), or FILE=path: when the file appears after readiness")
	f.IntVar(&o.dieStatus, "die-status", 1, "exit status of -die")
	f.StringVar(&o.dieSignal, "die-signal", "", "die by this signal instead")
	f.StringVar(&o.take, "take", "all", "which sockets are kept: all, none")
	f.StringVar(&o.atBoot, "at-boot", "", "done to the first socket at boot: shutdown, nonblock, block, defer")
	f.StringVar(&o.side, "side", "", "also listen on this TCP address; a failure is fatal")
	f.StringVar(&o.sideGate, "side-gate", "", "wait until this file exists before opening the side port")
	f.DurationVar(&o.extend, "extend", 0, "ask for this much more time to boot (EXTEND_TIMEOUT_USEC)")
	f.IntVar(&o.strays, "strays", 0, "daemons to leave behind, each in a session of its own")
	f.StringVar(&o.strayStop, "stray-stop", "600ms", "how long a daemon needs after TERM, or never")
	f.BoolVar(&o.straySame, "stray-same-group", false, "the daemons stay in the server's process group")
	f.BoolVar(&o.strayHolds, "stray-holds", false, "the daemons keep the sockets")
	f.StringVar(&o.watchdog, "watchdog", "", "watchdog pings: always, once, trigger, off (it says that it wants none)")
	f.BoolVar(&o.becomeRoot, "become-root", false, "setuid(0), so that an unprivileged init cannot signal it")
	f.BoolVar(&o.mainpid, "mainpid", false, "daemonize: fork twice, announce MAINPID=, exit")
	f.StringVar(&o.say, "say", "", "text that GET / answers after the generation")
	f.DurationVar(&o.work, "work", 0, "time that GET / takes")
	f.StringVar(&o.acceptGate, "accept-gate", "", "accept nothing until this file exists")
	f.StringVar(&o.health, "health", "", "GET /health is answered with 503 until this file exists")
	f.StringVar(&o.reuseport, "reuseport", "", "also open two sockets of its own on this TCP address, with SO_REUSEPORT")
	f.BoolVar(&o.worker, "worker", false, "name the worker in each line and each answer")
	f.IntVar(&o.only, "only", -1, "-die concerns this worker only")
	f.StringVar(&o.hand, "hand", "", "TCP addresses, separated by commas, that are bound when the channel says go")
	f.BoolVar(&o.deaf, "deaf", false, "say nothing on the channel, and bind -hand at once")
	f.StringVar(&o.takedown, "takedown", "release", "what a takedown does: release, ignore, exit")
	f.Func("bind", "bind this address, see own; may be repeated", func(text string) error { o.bind = append(o.bind, text); return nil })
	f.StringVar(&o.setuid, "setuid", "", "become this uid, without an exec, before anything is bound")
	f.BoolVar(&o.hidden, "hidden", false, "not dumpable, so that only root's CAP_SYS_PTRACE can look into the process")
	f.IntVar(&o.prefork, "prefork", 0, "so many children serve, each with -bind of its own")
	if err := f.Parse(args); err != nil {
		os.Exit(2)
	}
	return o
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "stray":
			stray(os.Args[2:])
			return
		case "state":
			printState()
			return
		case "deny":
			deny(os.Args[2:])
			return
		case "notify":
			notifyAs(os.Args[2], os.Args[3])
			return
		case "become":
			become(os.Args[2:])
			return
		case "without-ptrace":
			withoutPtrace(os.Args[2:])
			return
		case "binder":
			binder(os.Args[2:])
			return
		case "connect":
			connect(os.Args[2:])
			return
		}
	}
	o := parse(os.Args[1:])
	if o.mainpid && os.Getenv("SERVER_DAEMON") == "" {
		daemonize()
		return
	}
	if o.prefork > 0 {
		prefork(o)
		return
	}
	serve(o)
}

// serve is one life of the server.
func serve(o options) {
	signals := watchSignals()
	if o.stop == "default" {
		for name := range strings.SplitSeq(o.on, ",") {
			signal.Reset(unix.SignalNum("SIG" + name))
		}
	}
	if o.worker {
		who += " worker " + os.Getenv("SWAPINIT_WORKER")
	}
	if o.only >= 0 && os.Getenv("SWAPINIT_WORKER") != strconv.Itoa(o.only) {
		o.die = ""
	}
	s := newServer(o)
	go s.run(signals)
	say("started %s", strings.Join(os.Args[1:], " "))
	if o.becomeRoot {
		if err := syscall.Setuid(0); err != nil {
			fatal("cannot become root: %v", err)
		}
	}
	if o.die == "boot" {
		die(o)
	}
	if o.extend > 0 {
		notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", o.extend.Microseconds()))
		say("extended")
	}
	if o.boot > 0 {
		<-time.After(o.boot)
	}
	sockets, err := take(o.from)
	if err != nil {
		fatal("cannot take the sockets: %v", err)
	}
	atBoot(o, sockets)
	for range o.strays {
		if err := spawnStray(o, sockets); err != nil {
			fatal("cannot leave a stray: %v", err)
		}
	}
	if o.take == "none" {
		closeAll(sockets)
		sockets = nil
	}
	if o.gate != "" {
		awaitFile(o.gate)
	}
	if o.hidden {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			fatal("PR_SET_DUMPABLE: %v", err)
		}
	}
	if o.setuid != "" {
		if err := setUser(o.setuid); err != nil {
			fatal("cannot become uid %s: %v", o.setuid, err)
		}
	}
	startWatchdog(o.watchdog)
	if o.die == "ready" { // before it accepts: what it accepted would be lost
		tellReady(o.ready)
		die(o)
	}
	s.listen(sockets)
	s.bindAll()
	hand := newResources(s, o.hand)
	if (o.hand != "" || o.ready == "channel") && !o.deaf {
		openChannel()
		go hand.listenToChannel()
	}
	if o.hand != "" {
		hand.want() // and ready when it has them
	} else {
		say("ready")
		tellReady(o.ready)
	}
	if path, ok := strings.CutPrefix(o.die, "FILE="); ok {
		go func() {
			awaitFile(path)
			die(o)
		}()
	}
	select {} // run ends the process
}

// who says each line.
var who = "gen " + cmp.Or(os.Getenv("SWAPINIT_GENERATION"), "-")

// say prints one event of this process.
func say(format string, args ...any) {
	line := fmt.Sprintf(who+": "+format+"\n", args...)
	if _, err := os.Stdout.WriteString(line); err != nil {
		return // a closed standard output is a test of its own
	}
}

func fatal(format string, args ...any) {
	say(format, args...)
	fmt.Fprintf(os.Stderr, "server: "+format+"\n", args...)
	os.Exit(1)
}

// die ends the server in the way that the flags name.
func die(o options) {
	if o.dieSignal != "" {
		say("dying by %s", o.dieSignal)
		killSelf(o.dieSignal)
	}
	say("dying with %d", o.dieStatus)
	os.Exit(o.dieStatus)
}

// awaitFile blocks until path exists.
func awaitFile(path string) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
}
