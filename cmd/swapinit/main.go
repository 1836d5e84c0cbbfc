//go:build linux

// An init has no use for as many threads as the container has CPUs, and must
// not wake up to see whether that number has changed: the runtime is kept from
// reading, and holding open, the cgroup's files. The Makefile says so again, with
// profstackdepth, which has no directive.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command swapinit is the init of a container, set as its ENTRYPOINT, and the
// verbs that talk to it. See README.md and docs/.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"strings"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/adopt"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/gate"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/signals"
)

// signalQueue is how many signals may wait for the loop: os/signal drops what
// does not fit.
const signalQueue = 256

func main() {
	// Between fork and exec this binary runs as the child, see internal/spawn.
	spawn.Stage(adopt.Install)
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if name, rest, ok := verbOf(args); ok {
		switch {
		case name == verbGate && !asksHelp(rest):
			return start(rest, true, "")
		case name != verbHelp:
			return runVerb(name, rest, os.Getenv)
		case len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
			return runVerb(rest[0], []string{"--help"}, os.Getenv)
		}
		return show(usage(program()))
	}
	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb = mistyped(args[0], os.Getenv)
		if os.Getpid() != 1 && noCommand(args[0], os.Getenv) && initAnswers(os.Getenv) {
			complain(text.Quote(args[0], 40) + " is neither a verb nor a command that can be found" + instead(args[0]))
			return exitUsage
		}
	}
	return start(args, false, verb)
}

// start runs the init, or a gate. verb is what the command may have been meant to be.
func start(args []string, asGate bool, verb string) int {
	// From here on this may be PID 1. The kernel drops a signal that PID 1 has
	// no handler for, so handlers come before everything else; what was ignored
	// before can only be learned before that.
	ignored := signals.Inherited()
	queue := make(chan os.Signal, signalQueue)
	signal.Notify(queue, signals.Early()...)

	// Two processors are plenty for an init; with one for each CPU of the host
	// the runtime would also want a thread for each.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))

	parsers := pid1.Parsers()
	parsers.Program, parsers.Gate = program(), asGate
	settings, err := config.Load(os.Environ(), args, parsers)
	if err != nil {
		complain(err.Error())
		return config.ExitStatus
	}
	switch {
	case settings.Help:
		return show(usage(program()))
	case settings.Version:
		return show(versionLine(version, commit) + "\n")
	}
	if settings.ParentDeath != 0 {
		// The setting is the thread's: keep this one.
		runtime.LockOSThread()
		if err := pid1.ParentDeath(settings.ParentDeath); err != nil {
			complain(err.Error())
			return config.ExitStatus
		}
	}
	if asGate {
		return gate.Run(gate.Config{Settings: settings, Signals: queue, Environ: os.Environ(), Version: version})
	}
	return pid1.Run(pid1.Options{Settings: settings, Signals: queue, Ignored: ignored, Environ: os.Environ(), Version: version, Verb: verb})
}

// show prints what was asked for.
func show(text string) int {
	v := verbRun{out: os.Stdout, err: os.Stderr}
	v.put(text)
	return v.written(exitDone)
}

// complain is for what keeps this from running at all.
func complain(text string) { _, _ = os.Stderr.WriteString("swapinit: " + text + "\n") }

// version is the last release in CHANGELOG.md, or the next one with -dev behind it. It
// stands here so that `go install` has it: debug.ReadBuildInfo would take a tenth of what
// this program may still grow. The Makefile sets both (VERSION=..., COMMIT=...).
var (
	version = "0.9.0"
	commit  = "unknown"
)

// versionLine is what dockerd asks its init for: it looks for " - git." and a word
// without a dot, and warns in its log where it finds none.
func versionLine(version, commit string) string {
	return "swapinit " + version + " - git." + commit
}

// program is the path by which this was started, as messages tell people what to type:
// an engine mounts it as /sbin/docker-init.
func program() string {
	if os.Args[0] == "" {
		return "swapinit"
	}
	return text.Clip(text.Escape(os.Args[0]), 100)
}
