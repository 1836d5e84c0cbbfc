package config

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/unixname"
)

const (
	minGenerations = 2 // a swap needs two
	maxGenerations = 1000
	maxWorkers     = 256
)

// check is what one value's syntax does not tell: enums, ranges, the values
// that other packages understand, and settings that contradict each other.
func (l *loader) check(s *Settings) error {
	for i := range l.rows {
		r := &l.rows[i]
		if text := r.text(); text != nil {
			if problem, ok := l.text(r, *text); !ok {
				return l.bad(r.Name, problem)
			}
		}
	}
	if s.MaxGenerations < minGenerations || s.MaxGenerations > maxGenerations {
		return l.bad("SWAPINIT_MAX_GENERATIONS", "out of range")
	}
	if s.Workers > maxWorkers || s.Workers == 0 && l.value("SWAPINIT_WORKERS") != "auto" {
		return l.bad("SWAPINIT_WORKERS", "out of range")
	}
	if len(s.StopSignals) == 0 {
		return l.bad("SWAPINIT_STOP_SIGNALS", "no signal in it")
	}
	for _, sig := range s.StopSignals {
		if !slices.Contains(s.SwapSignals, sig) {
			continue
		}
		// A signal would both swap and stop. Name the list that was set: the
		// other one may be the default.
		set, other := "SWAPINIT_SWAP_SIGNALS", "SWAPINIT_STOP_SIGNALS"
		if l.values[set] == "" {
			set, other = other, set
		}
		return l.bad(set, l.parsers.SignalName(sig)+" is in "+other+"="+quote(l.value(other))+" too, take it out of one")
	}
	if c := s.CanaryCheck; len(c) == 1 && (strings.HasPrefix(c[0], "http:") || strings.HasPrefix(c[0], "https:")) {
		if err := l.parsers.Ready(c[0]); err != nil {
			return l.bad("SWAPINIT_CANARY_CHECK", err.Error())
		}
	}
	if err := l.gate(s); err != nil {
		return err
	}
	return l.together(s)
}

// The defaults of a member of a gate, see gate.
const (
	defaultGate     = "/gate/gate.sock"
	joinedKeep      = time.Minute
	joinedStopDrain = 8 * time.Second
)

// gate checks what has to do with a gate, and fills in what it changes.
func (l *loader) gate(s *Settings) error {
	if s.AsGate {
		if s.Gate == "" {
			s.Gate = defaultGate
		}
		if s.Listen == "" {
			return &ValueError{Variable: "SWAPINIT_LISTEN", Problem: "a gate needs an endpoint", Accepts: l.row("SWAPINIT_LISTEN").Accepts}
		}
		return nil
	}
	if s.Gate == "" {
		return nil
	}
	if s.Listen != "" {
		return &ValueError{Variable: "SWAPINIT_LISTEN", Value: s.Listen, Problem: "the gate at SWAPINIT_GATE=" + quote(s.Gate) + " has the endpoints, unset one of the two"}
	}
	if l.values["SWAPINIT_KEEP"] == "" && l.parsers.Beside(s.Strategy) && s.Batch == "all" && s.Steer != "off" {
		s.Keep = joinedKeep
	}
	if l.values["SWAPINIT_STOP_DRAIN"] == "" {
		s.StopDrain = joinedStopDrain
	}
	return nil
}

// together refuses settings that cannot be had together.
func (l *loader) together(s *Settings) error {
	const overlap = "it needs SWAPINIT_STRATEGY=overlap, unset one of the two"
	name, problem := "", ""
	beside := l.parsers.Beside(s.Strategy)
	switch {
	case s.Steer == "off":
		problem = "it needs steering and SWAPINIT_STEER is off, unset one of the two"
	case !beside:
		problem = overlap
	case s.Batch != "all":
		problem = "it needs SWAPINIT_BATCH=all, unset one of the two"
	default:
		return nil
	}
	switch {
	case len(s.Canary) > 0:
		name = "SWAPINIT_CANARY"
	case s.Steer == "off" && len(s.CanaryCheck) > 0:
		name = "SWAPINIT_CANARY_CHECK"
	case s.Steer == "off" && s.CanaryBy != "random":
		name = "SWAPINIT_CANARY_BY"
	case s.Keep > 0:
		name = "SWAPINIT_KEEP"
	case !beside && s.Batch != "all":
		name, problem = "SWAPINIT_BATCH", overlap
	default:
		return nil
	}
	return &ValueError{Variable: name, Value: l.value(name), Problem: problem}
}

// text checks a setting that is a string.
func (l *loader) text(r *setting, value string) (problem string, ok bool) {
	var err error
	switch {
	case r.oneOf != nil:
		return "", slices.Contains(r.oneOf, value)
	case r.Name == "SWAPINIT_LISTEN":
		err = l.parsers.Listen(value)
	case r.Name == "SWAPINIT_METRICS" && value != "":
		err = l.parsers.Metrics(value)
	case r.Name == "SWAPINIT_READY":
		err = l.parsers.Ready(value)
	case r.Name == "SWAPINIT_CANARY_BY":
		_, err = shares.ParseBy(value, 0)
	case r.Name == "SWAPINIT_ADOPT":
		_, _, ok := Adopt(value).read()
		return "", ok
	case strings.ContainsFunc(value, unicode.IsControl):
		return "control character in it", false
	case r.Name == "SWAPINIT_BATCH":
		n, _ := Batch(value).read()
		return "", n >= 0
	case r.Name == "SWAPINIT_CONTROL":
		return "", value == "auto" || value == "off" || socketName(value)
	case r.Name == "SWAPINIT_GATE":
		return "", value == "" || socketName(value)
	case r.Name == "SWAPINIT_RELEASE":
		return "", len(value) <= 64 && !strings.ContainsFunc(value, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-+:/@", c)
		})
	}
	if err != nil {
		return err.Error(), false
	}
	return "", true
}

// socketName: an absolute path, or @name for an abstract one.
func socketName(s string) bool {
	return len(s) > 1 && len(s) <= unixname.MaxPath && (s[0] == '@' || s[0] == '/' && s[len(s)-1] != '/')
}
