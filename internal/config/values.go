package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/caarlos0/env/v11"
)

// MaxDuration bounds every duration: a year is a typing error already.
const MaxDuration = 365 * 24 * time.Hour

// minDuration is the least duration but 0: what is shorter is a wrong unit,
// and would be 0 in the microseconds of WATCHDOG_USEC.
const minDuration = time.Millisecond

// funcMap says how a value of each type in the table is parsed.
func (p *Parsers) funcMap() map[reflect.Type]env.ParserFunc {
	funcs := make(map[reflect.Type]env.ParserFunc)
	for _, f := range [...]struct {
		like  any
		parse env.ParserFunc
	}{
		{time.Duration(0), duration},
		{false, boolean},
		{0, number},
		{Names{}, dialects},
		{Paths{}, paths},
		{[]string{}, command},
		{syscall.Signal(0), p.stopSignal},
		{[]syscall.Signal{}, p.signalList},
		{map[syscall.Signal]syscall.Signal{}, p.signalMap},
		{map[int]int{}, exitMap},
		{[]Stage{}, stages},
	} {
		funcs[reflect.TypeOf(f.like)] = f.parse
	}
	return funcs
}

func duration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	problem := ""
	switch {
	case s != "0" && s != "." && strings.Trim(s, "0123456789.") == "":
		problem = "no unit, write " + s[:min(len(s), 64)] + "s"
	case s[0] == '-':
		problem = "negative"
	case err != nil || s[0] == '+':
		problem = "not a duration"
	case d > MaxDuration:
		problem = "too long"
	case d != 0 && d < minDuration:
		problem = "shorter than 1ms"
	default:
		return d, nil
	}
	return nil, errors.New(problem)
}

func boolean(s string) (any, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errors.New("neither true nor false")
}

func number(s string) (any, error) {
	if s == "auto" {
		return 0, nil // check refuses it where it has no meaning
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New("not a number in range")
	}
	return int(n), nil
}

// list splits at commas and white space, newlines too: a YAML block is a list.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r < 0x80 && isSpace(byte(r)) })
}

// unique is a list with each element once.
func unique(s string) []string {
	out := []string{}
	for _, word := range list(s) {
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

func dialects(s string) (any, error) {
	names := Names(unique(s))
	for _, name := range names {
		if name != "systemd" && name != "server-starter" && name != "einhorn" {
			return nil, errors.New("no dialect is named " + quote(name))
		}
	}
	return names, nil
}

func paths(s string) (any, error) {
	out := Paths(unique(s))
	if len(out) == 0 {
		return nil, errors.New("no path in it")
	}
	for _, path := range out {
		if strings.ContainsFunc(path, unicode.IsControl) {
			return nil, errors.New("control character in " + quote(path))
		}
	}
	return out, nil
}

func command(s string) (any, error) {
	words, err := Words(s)
	if err == nil && (len(words) == 0 || words[0] == "") {
		err = errors.New("no command in it")
	}
	return words, err
}

func (p *Parsers) signal(s string) (syscall.Signal, error) {
	sig, err := p.Signal(s)
	if err != nil || sig < 1 || sig > 64 {
		return 0, errors.New("no signal is named " + quote(s))
	}
	return sig, nil
}

// stopSignal is a signal that swapinit sends. STOP would freeze a server for
// ever. KILL is allowed, as in systemd: some servers are meant to crash.
func (p *Parsers) stopSignal(s string) (any, error) {
	sig, err := p.signal(s)
	if err == nil && sig == syscall.SIGSTOP {
		return 0, errors.New("STOP freezes a process and does not end it")
	}
	return sig, err
}

// caught is a signal that can mean something to swapinit when it gets it.
func (p *Parsers) caught(s string) (syscall.Signal, error) {
	sig, err := p.signal(s)
	if err != nil {
		return 0, err
	}
	if why := p.Uncatchable(sig); why != "" {
		return 0, errors.New(p.SignalName(sig) + " " + why)
	}
	return sig, nil
}

func (p *Parsers) signalList(s string) (any, error) {
	sigs := []syscall.Signal{}
	for _, name := range list(s) {
		sig, err := p.caught(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(sigs, sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs, nil
}

func (p *Parsers) signalMap(s string) (any, error) {
	return pairs(s, p.caught, p.rewritten, p.SignalName)
}

// rewritten is what a signal becomes; "" or "0" drops it.
func (p *Parsers) rewritten(s string) (syscall.Signal, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	return p.signal(s)
}

func exitMap(s string) (any, error) { return pairs(s, exitStatus, exitStatus, strconv.Itoa) }

func exitStatus(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, errors.New(quote(s) + " is not an exit status")
	}
	return int(n), nil
}

// pairs reads a list of from=to; name is for messages.
func pairs[N ~int](s string, from, to func(string) (N, error), name func(N) string) (any, error) {
	m := make(map[N]N)
	for _, pair := range list(s) {
		before, after, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errors.New("no = in " + quote(pair))
		}
		left, err := from(before)
		if err != nil {
			return nil, err
		}
		right, err := to(after)
		if err != nil {
			return nil, err
		}
		if _, twice := m[left]; twice {
			return nil, errors.New(name(left) + " is mapped twice")
		}
		m[left] = right
	}
	return m, nil
}
