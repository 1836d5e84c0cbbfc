package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/swapinit/swapinit/internal/text"
)

// MaxDuration bounds every duration: a year is a typing error already.
const MaxDuration = 365 * 24 * time.Hour

// minDuration is the least duration but 0: what is shorter is a wrong unit,
// and would be 0 in the microseconds of WATCHDOG_USEC.
const minDuration = time.Millisecond

// read parses value into a field of Settings, to which it points. There is a case for each
// type in the table that is not a string.
func (p *Parsers) read(field any, value string) (err error) {
	switch f := field.(type) {
	case *time.Duration:
		*f, err = duration(value)
	case *bool:
		*f, err = boolean(value)
	case *int:
		*f, err = number(value)
	case *Names:
		*f, err = dialects(value)
	case *Paths:
		*f, err = paths(value)
	case *[]string:
		*f, err = command(value)
	case *syscall.Signal:
		*f, err = p.stopSignal(value)
	case *[]syscall.Signal:
		*f, err = p.signalList(value)
	case *map[syscall.Signal]syscall.Signal:
		*f, err = p.signalMap(value)
	case *map[int]int:
		*f, err = exitMap(value)
	case *[]Stage:
		*f, err = ParseStages(value)
	case *UIDs:
		*f, err = uids(value)
	}
	return err
}

func duration(s string) (time.Duration, error) {
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
	return 0, errors.New(problem)
}

func boolean(s string) (bool, error) {
	switch text.Upper(s) {
	case "TRUE", "1", "YES", "ON":
		return true, nil
	case "FALSE", "0", "NO", "OFF":
		return false, nil
	}
	return false, errors.New("neither true nor false")
}

func number(s string) (int, error) {
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

func dialects(s string) (Names, error) {
	names := Names(unique(s))
	for _, name := range names {
		if name != "systemd" && name != "server-starter" && name != "einhorn" {
			return nil, errors.New("no dialect is named " + quote(name))
		}
	}
	return names, nil
}

func paths(s string) (Paths, error) {
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

func uids(s string) (u UIDs, err error) {
	if s == "any" {
		return UIDs{Any: true}, nil
	}
	for _, word := range list(s) {
		uid, err := strconv.ParseUint(word, 10, 32)
		if err != nil || uid == 1<<32-1 { // (uid_t)-1 is nobody's
			return u, errors.New(quote(word) + " is not a uid")
		}
		u.List = append(u.List, uint32(uid))
	}
	return u, nil
}

func command(s string) ([]string, error) {
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
func (p *Parsers) stopSignal(s string) (syscall.Signal, error) {
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

func (p *Parsers) signalList(s string) ([]syscall.Signal, error) {
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

func (p *Parsers) signalMap(s string) (map[syscall.Signal]syscall.Signal, error) {
	return pairs(s, p.caught, p.rewritten, p.SignalName)
}

// rewritten is what a signal becomes; "" or "0" drops it.
func (p *Parsers) rewritten(s string) (syscall.Signal, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	return p.signal(s)
}

func exitMap(s string) (map[int]int, error) { return pairs(s, exitStatus, exitStatus, strconv.Itoa) }

func exitStatus(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, errors.New(quote(s) + " is not an exit status")
	}
	return int(n), nil
}

// pairs reads a list of from=to; name is for messages.
func pairs[N ~int](s string, from, to func(string) (N, error), name func(N) string) (map[N]N, error) {
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
