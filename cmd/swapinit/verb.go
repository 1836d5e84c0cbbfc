//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/fatih/color"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
)

// The verbs are clients of the running init. What they print:
//
//   - stdout: what was asked for (a table, JSON, the stages of a swap), steady
//     plain lines; colours only on a terminal.
//   - stderr: one line, `swapinit: reason`, exactly when the status is not 0.
//   - Text from the init is escaped, as it quotes commands and servers.
const (
	exitDone   = 0
	exitFailed = 1   // it did not work
	exitUsage  = 2   // the arguments make no sense
	exitNoInit = 125 // no init to talk to, or it does not let us in
)

// verbUsage is what a verb accepts, "" for one that is reserved for later.
func verbUsage(verb string) string {
	switch verb {
	case control.VerbSwap:
		return "swapinit swap [--no-wait] [--timeout D] [-- command arg...]"
	case control.VerbStatus:
		return "swapinit status [--json]"
	case control.VerbHealth, control.VerbStop, control.VerbVersion:
		return "swapinit " + verb
	}
	return ""
}

// verbRun is one run of a verb.
type verbRun struct {
	out, err io.Writer
	env      func(string) string
	color    bool
	version  string // of this file
	last     string // the last stage of the swap that was printed
}

// runVerb runs a verb with what follows it on the command line and returns the
// exit status. version is that of this file.
func runVerb(verb string, args []string, env func(string) string, version string) int {
	v := verbRun{out: os.Stdout, err: os.Stderr, env: env, version: version}
	v.color = logline.Colored(env("SWAPINIT_COLOR"), 1, env)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		time.AfterFunc(termGrace, func() { os.Exit(v.fail(exitFailed, verb+" was told to stop before the init had answered")) })
	}()
	return v.run(verb, args)
}

// termGrace is how long a verb waits on after a TERM. When the container ends, so
// does every process in it: this one too, while the answer that says why is on
// its way.
const termGrace = time.Second

func (v *verbRun) run(verb string, args []string) int {
	usage := verbUsage(verb)
	if usage == "" {
		return v.fail(exitUsage, verb+" is not in this version of swapinit, accepted verbs: swap, status, health, stop, version, help")
	}
	a, err := parseVerb(verb, args)
	if err != nil {
		return v.fail(exitUsage, verb+": "+err.Error()+", accepted: "+usage)
	}
	if a.help {
		return v.say(0, usage)
	}
	if verb == control.VerbVersion {
		v.say(0, "swapinit "+v.version)
	}
	reply, err := v.ask(control.Request{Verb: verb, Swap: a.swap})
	var none *control.NoInit
	switch {
	case verb == control.VerbVersion:
		// The init may be another one, or none, or not for us: all of it is fine.
		if err == nil && reply.OK && reply.Version != v.version {
			v.say(0, "init "+reply.Version)
		}
		return exitDone
	case verb == control.VerbStop && err == control.ErrGone:
		// It was told to go, and it has gone.
	case errors.As(err, &none):
		return v.fail(exitNoInit, err.Error())
	case err != nil && v.last != "":
		return v.fail(exitFailed, err.Error()+", the last that it said: "+v.last)
	case err != nil:
		return v.fail(exitFailed, verb+" failed: "+err.Error())
	case reply.Code == control.CodeRefused:
		return v.fail(exitNoInit, reply.Error)
	case !reply.OK && reply.Error == "":
		return v.fail(exitFailed, verb+" failed: the init gave no reason")
	case !reply.OK:
		return v.fail(exitFailed, verb+" failed: "+reply.Error)
	}
	return v.done(verb, a, reply)
}

func (v *verbRun) ask(req control.Request) (*control.Reply, error) {
	addr, err := control.Find(v.env("SWAPINIT_CONTROL"))
	if err != nil {
		return nil, err
	}
	return control.Do(addr, req, v.stage)
}

// done prints what a verb that worked has to say.
func (v *verbRun) done(verb string, a verbArgs, r *control.Reply) int {
	switch {
	case verb == control.VerbStatus && r.Status == nil:
		return v.fail(exitFailed, "the init sent no status")
	case verb == control.VerbStatus && a.json:
		return v.say(0, r.Status.JSON())
	case verb == control.VerbStatus:
		io.WriteString(v.out, statusTable(r.Status))
		return exitDone
	case verb == control.VerbHealth:
		return v.say(0, "healthy")
	case verb == control.VerbStop:
		return v.say(0, "stopping")
	case !a.swap.NoWait:
		return v.say(color.FgGreen, "swap done: "+generation(r.Generation)+" has all the traffic")
	case r.Generation > 0:
		return v.say(0, "swap begun: "+generation(r.Generation))
	}
	return v.say(0, "swap asked for")
}

func (v *verbRun) fail(status int, reason string) int {
	io.WriteString(v.err, "swapinit: "+logline.Escape(reason)+"\n")
	return status
}

// say prints one line on stdout; paint 0 is no colour.
func (v *verbRun) say(paint color.Attribute, line string) int {
	line = logline.Escape(line)
	if v.color && paint != 0 {
		line = logline.Paint(paint, line)
	}
	io.WriteString(v.out, line+"\n")
	return exitDone
}

// stage prints one stage of a swap.
func (v *verbRun) stage(e control.Event) {
	text, paint := e.Event, color.Attribute(0)
	g := generation(e.Generation)
	switch e.Event {
	case control.EventStarted:
		text = g + " started, pid " + strconv.Itoa(e.Pid)
	case control.EventReady:
		text, paint = g+" ready after "+span(e.MS), color.FgGreen
	case control.EventSettled, control.EventStopping:
		text = g + " " + e.Event
	case control.EventCutover:
		text, paint = "cut over to "+g, color.FgGreen
	case control.EventFailed:
		// Why is in the reply, and that goes to stderr.
		text, paint = g+" failed", color.FgRed
	default: // queued, and what a newer init may say
		if e.Message != "" {
			text += ": " + e.Message
		}
	}
	v.last = text
	v.say(paint, text)
}

func generation(n int) string { return "generation " + strconv.Itoa(n) }

// verbArgs are the parsed arguments of any verb.
type verbArgs struct {
	help bool
	json bool // status
	swap control.SwapArgs
}

// parseVerb reads the arguments of a known verb.
func parseVerb(verb string, args []string) (a verbArgs, err error) {
	swap := verb == control.VerbSwap
	for len(args) > 0 && err == nil {
		arg := args[0]
		args = args[1:]
		name, value, inline := strings.Cut(arg, "=")
		switch {
		case arg == "-h" || arg == "--help":
			a.help = true
		case verb == control.VerbStatus && arg == "--json":
			a.json = true
		case swap && arg == "--no-wait":
			a.swap.NoWait = true
		case swap && name == "--timeout":
			if !inline && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			a.swap.TimeoutMS, err = parseTimeout(value)
		case swap && arg == "--":
			a.swap.Command = args
			return a, checkCommand(args)
		case strings.HasPrefix(arg, "-"):
			err = errors.New("unknown option " + strconv.Quote(arg))
		case swap:
			err = errors.New("unexpected argument " + strconv.Quote(arg) + " (a command stands after --)")
		default:
			err = errors.New("unexpected argument " + strconv.Quote(arg))
		}
	}
	return a, err
}

func parseTimeout(s string) (ms int64, err error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond {
		return 0, errors.New("cannot use --timeout " + strconv.Quote(s) + ", accepted is a duration from 1ms such as 30s or 1m30s")
	}
	return d.Milliseconds(), nil
}

func checkCommand(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errors.New("-- needs a command after it")
	}
	for i, w := range words {
		// JSON has no way to carry other bytes; they would arrive changed.
		if !utf8.ValidString(w) {
			return errors.New("word " + strconv.Itoa(i+1) + " of the command, " + strconv.Quote(w) + ", is not UTF-8")
		}
	}
	return nil
}
