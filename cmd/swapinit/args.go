//go:build linux

package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

// verbArgs are the parsed arguments of any verb.
type verbArgs struct {
	help  bool
	json  bool             // status, check
	watch bool             // status
	wait  control.WaitArgs // wait
	swap  control.SwapArgs // swap, restart
	tells bool             // the same: --json
	data  string           // message: JSON
}

// parseVerb reads the arguments of a known verb: the options are those that its
// usage has.
func parseVerb(verb string, args []string) (a verbArgs, err error) {
	usage, _ := verbUsage("", verb)
	swap, message, wait := verb == control.VerbSwap, verb == control.VerbMessage, verb == control.VerbWait
	flags := map[string]*bool{"--json": &a.json, "--watch": &a.watch, "--no-wait": &a.swap.NoWait, "--follow": &a.swap.Follow, "--force": &a.swap.Force, "--cancel": &a.swap.Cancel,
		"--or-rollback": &a.wait.Rollback}
	if swap || verb == control.VerbRestart {
		flags["--json"] = &a.tells
	}
	for len(args) > 0 && err == nil {
		arg := args[0]
		args = args[1:]
		name, value, inline := strings.Cut(arg, "=")
		switch {
		case arg == "-h" || arg == "--help":
			a.help = true
		case flags[arg] != nil && strings.Contains(usage, "["+arg+"]"):
			*flags[arg] = true
		case (name == "--timeout" || name == "--canary" || name == "--canary-by" || name == "--strategy" || name == "--side") && strings.Contains(usage, "["+name+" "):
			if !inline && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			switch name {
			case "--timeout":
				if a.swap.TimeoutMS, err = parseTimeout(value); wait {
					a.swap.TimeoutMS, a.wait.TimeoutMS = 0, a.swap.TimeoutMS
				}
			case "--canary":
				a.swap.Canary, err = value, checkCanary(value)
			case "--canary-by":
				a.swap.CanaryBy = value
				if _, err = shares.ParseBy(value, 0); err != nil {
					err = errors.New("cannot use --canary-by: " + err.Error() + ", accepted are random, client, or networks such as 10.0.0.0/8,2001:db8::/32")
				}
			case "--side":
				if a.swap.Side = value; value == "" || !utf8.ValidString(value) {
					err = errors.New("--side needs the name of a process beside the server (SWAPINIT_SIDE_<NAME>)")
				}
			default:
				if a.swap.Strategy = value; value == "" {
					err = errors.New("--strategy needs a value")
				}
			}
		case swap && arg == "--":
			a.swap.Command, args = args, nil
			err = checkCommand(a.swap.Command)
		case message && a.data == "" && (arg == "--" && len(args) > 0 || !strings.HasPrefix(arg, "-")):
			if arg == "--" {
				arg, args = args[0], args[1:]
			}
			if !utf8.ValidString(arg) {
				err = errors.New("DATA is not UTF-8")
			}
			a.data = control.JSON(arg)
		case wait && a.wait.Name == "" && arg != "" && !strings.HasPrefix(arg, "-"):
			if a.wait.Name = arg; !utf8.ValidString(arg) {
				err = errors.New("NAME is not UTF-8")
			}
		case strings.HasPrefix(arg, "-"):
			question := meant(name, verbOptions(usage))
			if question != "" {
				question = " (" + question + ")"
			}
			err = errors.New("unknown option " + strconv.Quote(arg) + question)
		case swap:
			err = errors.New("unexpected argument " + strconv.Quote(arg) + " (a command stands after --)")
		default:
			err = errors.New("unexpected argument " + strconv.Quote(arg))
		}
	}
	for _, problem := range [...]string{pid1.StrategyProblem(a.swap), a.swap.Problem()} {
		if err == nil && problem != "" {
			err = errors.New(problem)
		}
	}
	switch {
	case err != nil || a.help:
	case a.tells && (a.swap.NoWait || a.swap.Follow || a.swap.Cancel):
		err = errors.New("--json tells how a swap went, which --no-wait, --follow and --cancel do not wait for")
	case a.tells && a.swap.Side != "":
		err = errors.New("--json tells how a swap went, and --side is about none")
	case message && a.data == "":
		err = errors.New("DATA is missing")
	case wait && a.wait.Name == "":
		err = errors.New("NAME is missing, a release or a container id")
	}
	return a, err
}

// asksHelp: the arguments ask what a verb is.
func asksHelp(args []string) bool { return len(args) > 0 && (args[0] == "-h" || args[0] == "--help") }

func parseTimeout(s string) (ms int64, err error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond {
		return 0, errors.New("cannot use --timeout " + strconv.Quote(s) + ", accepted is a duration from 1ms such as 30s or 1m30s")
	}
	return d.Milliseconds(), nil
}

func checkCanary(s string) error {
	if _, err := config.ParseStages(s); err != nil {
		return text.Errorf("cannot use --canary: %w, accepted are stages such as 1%%/10s,25%%/30s, and off", err)
	}
	return nil
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
