//go:build linux

package main

import (
	"strings"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/text"
)

const (
	verbHelp = "help"
	verbGate = "gate"
)

// verbs are the first arguments that are not a command, in the order of the help;
// `swapinit -- stop` runs a program of that name. A newline is where the help breaks the line.
var verbs = [...]struct{ name, args, help string }{
	{control.VerbSwap, "[--no-wait] [--follow] [--timeout D] [--strategy S] [--canary STAGES|off]\n[--canary-by B] [--cancel] [--json] [-- command arg...]", "replace the running server, or call that off"},
	{control.VerbRestart, "[--force] [--no-wait] [--timeout D] [--json]\n[--side NAME]", "replace it by the same command, or a side"},
	{control.VerbRollback, "", "give the traffic back to the predecessor"},
	{control.VerbPromote, "", "give the successor all the traffic now"},
	{control.VerbMessage, "[--] DATA", "send JSON or a string to every worker"},
	{control.VerbStatus, "[--json] [--watch]", "show generations and endpoints"},
	{control.VerbMetrics, "", "print OpenMetrics text"},
	{control.VerbHealth, "", "exit 0 when ready (for HEALTHCHECK)"},
	{control.VerbStop, "", "stop the container"},
	{control.VerbVersion, "", "print the version"},
	{verbGate, "", "keep the endpoints for other containers"},
	{control.VerbWait, "NAME [--timeout D] [--or-rollback]", "at a gate: until NAME has all the traffic"},
	{control.VerbCheck, "[--json]", "what would go wrong with a swap, or at a gate"},
	{verbHelp, "[VERB]", "print the help, or what a verb does"},
}

// verbOf says whether args (without the program's name) ask a running swapinit for
// something: their first one is a verb. rest is what follows it.
func verbOf(args []string) (name string, rest []string, ok bool) {
	for i := range verbs {
		if len(args) > 0 && args[0] == verbs[i].name {
			return args[0], args[1:], true
		}
	}
	return "", nil, false
}

// verbUsage is what a verb of program accepts and what it does, "" for what is none.
func verbUsage(program, name string) (usage, help string) {
	for i := range verbs {
		if v := &verbs[i]; v.name == name {
			return strings.Join(strings.Fields(program+" "+name+" "+v.args), " "), v.help
		}
	}
	return "", ""
}

// verbNames lists all.
func verbNames() (names []string) {
	for i := range verbs {
		names = append(names, verbs[i].name)
	}
	return names
}

// mistyped is the verb that word was meant to be, "" where it may be a command.
func mistyped(word string, env func(string) string) string {
	verb, near := text.Nearest(word, verbNames())
	if !near || !noCommand(word, env) {
		return ""
	}
	return verb
}

// noCommand reports whether word is none that can be found.
func noCommand(word string, env func(string) string) bool {
	if word == "" || strings.Contains(word, "/") {
		return false
	}
	_, err := spawn.LookPath(word, env("PATH"), "")
	return err != nil
}

// initAnswers reports whether this is not the init: another one is there and talks to us.
func initAnswers(env func(string) string) bool {
	addr, err := control.Find(env("SWAPINIT_CONTROL"))
	if err == nil {
		_, err = control.Do(addr, control.Request{Verb: control.VerbVersion}, nil)
	}
	return err == nil
}

// noVerb is why a name is no verb.
func noVerb(name string) string { return "there is no verb " + text.Quote(name, 40) + instead(name) }

// instead is what might be typed in place of what is no verb, as the end of a sentence.
func instead(name string) string {
	if question := meant(name, verbNames()); question != "" {
		return ", " + question
	}
	return ", accepted verbs: " + strings.Join(verbNames(), ", ")
}

// meant asks for the one of known that was typed wrongly, "" where none is near.
func meant(typed string, known []string) string {
	if best, near := text.Nearest(typed, known); near {
		return "did you mean " + best + "?"
	}
	return ""
}

// verbOptions are the options of a verb, by its usage.
func verbOptions(usage string) (names []string) {
	for _, word := range strings.Fields(usage) {
		if strings.HasPrefix(word, "[--") && len(word) > len("[--]") {
			names = append(names, strings.TrimSuffix(word[1:], "]"))
		}
	}
	return names
}

// column puts text at the end of out's last line where that has this width, or
// else on a line of its own.
func column(out string, width int, text string) string {
	if gap := width - len(out[strings.LastIndexByte(out, '\n')+1:]); gap > 0 {
		return out + strings.Repeat(" ", gap) + text
	}
	return out + "\n" + strings.Repeat(" ", width) + text
}

// usage is the text of `program help`, with its final newline.
func usage(program string) string {
	out := column(usageHead+"  "+program+" [flags] [--] command [arg...]", usageColumn, "run command as init (the ENTRYPOINT)") + "\n"
	for _, v := range verbs {
		out += "  " + program + " " + v.name
		if v.args != "" {
			out += " " + strings.ReplaceAll(v.args, "\n", "\n                ")
		}
		out = column(out, usageColumn, v.help) + "\n"
	}
	out += usageFlags
	for i, v := range config.Variables(pid1.Parsers()) {
		if i > 0 && i%3 == 0 {
			out += "\n"
		}
		out = column(out, 2+26*(i%3), v.Name)
	}
	return out + "\n"
}

const usageHead = `swapinit: init for containers that replaces the server inside, with no connection lost

usage:
`

const usageColumn = 45

const usageFlags = `
flags, up to the first argument that is not one:
  -g              forward signals to the process group
  -e N            exit status N counts as 0 (repeatable)
  -r FROM:TO      rewrite a forwarded signal, TO 0 drops it (repeatable; --rewrite)
  -p SIGNAL       get SIGNAL when the parent dies
  -v              log more (repeatable; --verbose)
  -w              log every orphan that is reaped
  -c, -s          accepted, already so (--single-child; subreaper)
  -V, --version   print the version
  -h, --help      print the help

exit status: the command's own, 128+n when signal n ended it, 127 not found,
126 not executable, 125 swapinit's own error

settings are environment variables, described in docs/environment.md:
`
