//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// The verbs are clients of the running init. What they print:
//
//   - stdout: what was asked for (a table, JSON, the stages of a swap), steady
//     plain lines; colours only on a terminal. swap --json prints one object at the end,
//     exactly when the status is 0 or 1. status --watch prints it again and
//     again, on a terminal each table over the one before.
//   - stderr: one line, `swapinit: reason`, exactly when the status is not 0.
//   - what stdout did not take, of a verb that is asked for it, is a failure. Of the others
//     (swap, stop, health) the status is the answer: a deploy script must not take a full
//     disk for a swap that failed.
//   - Text from the init is escaped, as it quotes commands and servers.
const (
	exitDone   = 0
	exitFailed = 1   // it did not work
	exitUsage  = 2   // the arguments make no sense
	exitNoInit = 125 // no init to talk to, or it does not let us in
)

// verbRun is one run of a verb.
type verbRun struct {
	out, err io.Writer
	env      func(string) string
	color    bool
	redraw   bool                       // stdout is a terminal that knows escape sequences
	size     func() (columns, rows int) // of the terminal, 0 where that is not known; nil: there is none
	every    time.Duration              // how often status --watch asks, above 0
	program  string                     // by which this was started
	version  string                     // of this file
	commit   string                     // the same
	last     string                     // the last stage of the swap that was printed, or would be
	result   result
	lost     error // why stdout did not take all of it
}

// runVerb runs a verb with what follows it on the command line and returns the
// exit status.
func runVerb(verb string, args []string, env func(string) string) int {
	v := verbRun{out: os.Stdout, err: os.Stderr, env: env, every: time.Second, program: program(), version: version, commit: commit}
	v.color = logline.Colored(env("SWAPINIT_COLOR"), 1, env)
	if logline.Terminal(1) {
		v.redraw, v.size = env("TERM") != "dumb", terminalSize
	}
	if !slices.Contains(args, "--watch") || verb != control.VerbStatus { // which waits for nothing
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() {
			<-term
			time.AfterFunc(termGrace, func() { os.Exit(v.fail(exitFailed, verb+" was told to stop before the init had answered")) })
		}()
	}
	return v.run(verb, args)
}

// termGrace is how long a verb waits on after a TERM. When the container ends, so
// does every process in it: this one too, while the answer that says why is on
// its way.
const termGrace = time.Second

func (v *verbRun) run(verb string, args []string) (status int) {
	usage, help := verbUsage(v.program, verb)
	if usage == "" {
		return v.fail(exitUsage, noVerb(verb))
	}
	a, err := parseVerb(verb, args)
	if err != nil {
		return v.fail(exitUsage, verb+": "+err.Error()+", accepted: "+usage)
	}
	if a.help {
		v.put(usage + "\n" + help + "\n\n" + detailsOf(v.program, verb))
		return v.written(exitDone)
	}
	switch verb {
	case control.VerbStatus, control.VerbMetrics, control.VerbCheck, control.VerbVersion:
		defer func() { status = v.written(status) }()
	}
	if verb == control.VerbVersion {
		v.say(0, versionLine(v.version, v.commit))
	}
	if a.watch {
		return v.watch(a)
	}
	v.result.set(a.tells, nil)
	addr, err := control.Find(v.env("SWAPINIT_CONTROL"))
	var reply *control.Reply
	if err == nil {
		asked := verb
		if verb == control.VerbMetrics { // which is not on the wire
			asked = control.VerbStatus
		}
		reply, err = control.Do(addr, control.Request{Verb: asked, Swap: a.swap, Data: a.data, Wait: a.wait}, v.stage)
	}
	v.result.set(a.tells, reply)
	return v.answered(verb, a, reply, err)
}

// answered prints how the verb went.
func (v *verbRun) answered(verb string, a verbArgs, reply *control.Reply, err error) int {
	_, nobody := errors.AsType[*control.NoInit](err)
	switch {
	case verb == control.VerbVersion:
		// The init may be another one, or none, or not for us: all of it is fine.
		if err == nil && reply.OK && reply.Version != v.version {
			v.say(0, "init "+reply.Version)
		}
		return exitDone
	case verb == control.VerbStop && err == control.ErrGone:
		// It was told to go, and it has gone.
	case errors.Is(err, control.ErrNone) && config.Engine(v.program):
		return v.fail(exitNoInit, err.Error()+": the init of a container without any SWAPINIT_ setting in its environment is a plain one")
	case nobody:
		return v.fail(exitNoInit, err.Error())
	case err != nil && v.last != "":
		return v.fail(exitFailed, err.Error()+", the last that it said: "+v.last)
	case err != nil:
		return v.fail(exitFailed, verb+" failed: "+err.Error())
	case reply.Exit != nil:
		return v.followed(reply)
	case reply.Code == control.CodeRefused:
		return v.fail(exitNoInit, reply.Error)
	case !reply.OK && reply.Error == "":
		return v.fail(exitFailed, verb+" failed: the init gave no reason")
	case !reply.OK:
		return v.fail(exitFailed, verb+" failed: "+reply.Error+said(reply.Error))
	}
	return v.done(verb, a, reply)
}

// done prints what a verb that worked has to say.
func (v *verbRun) done(verb string, a verbArgs, r *control.Reply) int {
	switch {
	case (verb == control.VerbStatus || verb == control.VerbMetrics) && r.Status == nil:
		return v.fail(exitFailed, "the init sent no status")
	case verb == control.VerbMetrics:
		v.put(r.Status.Metrics())
		return exitDone
	case verb == control.VerbStatus && a.json:
		return v.say(0, r.Status.JSON())
	case verb == control.VerbStatus:
		v.put(v.page(r.Status))
		return exitDone
	case verb == control.VerbCheck:
		return v.checked(a, r.Problems)
	case verb == control.VerbWait:
		return v.say(logline.Green, member(r)+" has all the traffic")
	case verb == control.VerbRollback && r.Container != "":
		return v.say(0, "rolled back to "+member(r))
	case verb == control.VerbPromote && r.Container != "":
		return v.say(logline.Green, "promoted: "+member(r)+" has all the traffic")
	case verb == control.VerbHealth:
		return v.say(0, "healthy")
	case verb == control.VerbStop:
		return v.say(0, "stopping")
	case verb == control.VerbRollback:
		to := generation(r.Generation)
		if r.Generation == 0 { // from a canary at a gate
			to = "the container that has the traffic"
		}
		return v.say(0, "rolled back to "+to)
	case verb == control.VerbPromote:
		return v.say(logline.Green, "promoted: "+generation(r.Generation)+" has all the traffic")
	case verb == control.VerbMessage && (r.Delivered == nil || *r.Delivered < 1):
		return v.fail(exitFailed, "message failed: no worker got it")
	case verb == control.VerbMessage:
		return v.say(0, delivered(*r.Delivered))
	case a.swap.Cancel:
		return v.say(0, "swap called off, "+generation(r.Generation)+" goes on")
	case a.swap.Side != "":
		return v.say(logline.Green, "restart done: side "+a.swap.Side+" runs")
	case a.tells:
		v.tell("")
		return v.written(exitDone)
	case !a.swap.NoWait:
		return v.say(logline.Green, swapDone(verb, r.Generation))
	case r.Generation > 0:
		return v.say(0, verb+" begun: "+generation(r.Generation))
	}
	return v.say(0, verb+" asked for")
}

// said is where a server that has ended tells more than its status does, as the end of a
// sentence. It is for people alone: status and --json have the reason without it. What a
// probe or a canary's check prints goes nowhere.
func said(reason string) string {
	reason, _, _ = strings.Cut(reason, "last probe: ")
	reason, _, _ = strings.Cut(reason, "its canary check failed: ")
	if strings.Contains(reason, "exited with status ") {
		return "; what it printed is in the container's log (docker logs)"
	}
	return ""
}

func delivered(n int) string {
	if n == 1 {
		return "delivered to 1 worker"
	}
	return "delivered to " + strconv.Itoa(n) + " workers"
}

// followed says why a generation that was followed ended, and returns the status
// that it ended with, which is 0 when it was replaced.
func (v *verbRun) followed(r *control.Reply) int {
	reason, status := r.Error, *r.Exit
	switch {
	case reason != "":
	case status == 0:
		reason = generation(r.Generation) + " was replaced"
	default:
		reason = generation(r.Generation) + " ended with status " + strconv.Itoa(status)
	}
	if status == 0 {
		return v.say(0, reason)
	}
	return v.fail(status, reason)
}

func swapDone(verb string, n int) string {
	return verb + " done: " + generation(n) + " has all the traffic"
}

func (v *verbRun) fail(status int, reason string) int {
	io.WriteString(v.err, "swapinit: "+text.Escape(reason)+"\n")
	if status == exitFailed {
		v.tell(reason)
	}
	return status
}

// say prints one line on stdout; paint 0 is no colour.
func (v *verbRun) say(paint logline.Color, line string) int {
	line = text.Escape(line)
	if v.color && paint != 0 {
		line = logline.Paint(paint, line)
	}
	v.put(line + "\n")
	return exitDone
}

// put writes on stdout.
func (v *verbRun) put(s string) {
	if _, err := io.WriteString(v.out, s); err != nil {
		v.lost = err
	}
}

// written is the status of a verb whose output is what was asked for.
func (v *verbRun) written(status int) int {
	if v.lost == nil || status != exitDone {
		return status
	}
	reason := v.lost.Error()
	if errno, ok := errors.AsType[syscall.Errno](v.lost); ok {
		reason = errno.Error()
	}
	io.WriteString(v.err, "swapinit: cannot write the output: "+reason+"\n")
	return exitFailed
}

// stage prints one stage of a swap.
func (v *verbRun) stage(e control.Event) {
	line, paint := e.Event, logline.Color(0)
	g := generation(e.Generation)
	switch swap.Stage(e.Event) {
	case swap.StageStarted:
		line = g + " started, pid " + strconv.Itoa(e.Pid)
	case swap.StageReady:
		line, paint = g+" ready after "+span(e.MS), logline.Green
	case swap.StageSettled, swap.StageStopping:
		line = g + " " + e.Event
	case swap.StageCutOver:
		line, paint = "cut over to "+g, logline.Green
	case swap.StageDone:
		line, paint = swapDone(control.VerbSwap, e.Generation), logline.Green
	case swap.StageFailed:
		// Why is in the reply, and that goes to stderr.
		line, paint = g+" failed", logline.Red
	case swap.StageCanary:
		if line += ": " + e.Message; e.Share != 0 {
			line = e.Event + ": " + g + " has " + percent(e.Share) + " of new connections"
		}
	case swap.StageKept, swap.StageDraining:
		// Why is in the message, with the generation.
		if line = e.Message; line == "" {
			line = g + " " + e.Event
		}
	default: // queued, hook, batch, takedown, go, and what a newer init may say
		if e.Message != "" {
			line += ": " + e.Message
		}
	}
	v.last = line
	if !v.result.wanted {
		v.say(paint, line)
	}
}

func generation(n int) string { return "generation " + strconv.Itoa(n) }
