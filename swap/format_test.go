package swap

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// How scenarios are read: events and configurations as a word and name=value pairs.

// baseConfig is what a scenario's config line changes.
func baseConfig() Config {
	return Config{ReadyTimeout: 60 * time.Second, Settle: time.Second, RetireTimeout: 30 * time.Second, LeftoverTimeout: 5 * time.Second,
		MaxGenerations: 3, StopSignal: sigStop, RetireSignal: sigRetire, AbortSignal: sigAbort}
}

// pair is name=value, or with an empty value name alone.
type pair struct{ name, value string }

// pairs splits a line. A quoted value is as strconv.Quote writes it.
func pairs(line string) (out []pair, err error) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		end := strings.IndexAny(line, " =")
		if end < 0 {
			end = len(line)
		}
		p := pair{name: line[:end]}
		line = line[end:]
		if rest, ok := strings.CutPrefix(line, "="); ok {
			if strings.HasPrefix(rest, `"`) {
				quoted, err := strconv.QuotedPrefix(rest)
				if err != nil {
					return nil, fmt.Errorf("cannot read the value of %s: %w", p.name, err)
				}
				p.value, _ = strconv.Unquote(quoted)
				line = rest[len(quoted):]
			} else {
				p.value, _, _ = strings.Cut(rest, " ")
				line = rest[len(p.value):]
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// parseEvent reads an event as its String writes it, and nothing else.
func parseEvent(line string) (Event, error) {
	word, rest, _ := strings.Cut(line, " ")
	fields, err := pairs(rest)
	if err != nil {
		return nil, err
	}
	var e Event
	var set func(pair) error
	for k := range numGenerationKinds {
		if k.String() == word {
			g := &GenerationEvent{Kind: k}
			e, set = g, g.set
		}
	}
	for k := range numContainerKinds {
		if k.String() == word {
			c := &ContainerEvent{Kind: k}
			e, set = c, c.set
		}
	}
	if e == nil {
		return nil, fmt.Errorf("no such event")
	}
	for _, f := range fields {
		if err := set(f); err != nil {
			return nil, fmt.Errorf("cannot read field %s: %w", f.name, err)
		}
	}
	if e.String() != line {
		return nil, fmt.Errorf("it is to be written %s", e)
	}
	return e, nil
}

var errField = fmt.Errorf("an event of this kind has none of this name")

func number[T ~int | ~uint64 | ~uint8](to *T, s string) error {
	n, err := strconv.Atoi(s)
	*to = T(n)
	return err
}

func duration(to *time.Duration, s string) (err error) {
	*to, err = time.ParseDuration(s)
	return err
}

func (e *GenerationEvent) set(p pair) error {
	switch p.name {
	case "generation":
		return number(&e.Generation, p.value)
	case "worker":
		return number(&e.Worker, p.value)
	case "status":
		return number(&e.Status.Code, p.value)
	case "signal":
		return number(&e.Status.Signal, p.value)
	case "resource":
		e.Resource = p.value
	case "reason":
		e.Reason = p.value
	case "for":
		return duration(&e.Duration, p.value)
	default:
		return errField
	}
	return nil
}

func (e *ContainerEvent) set(p pair) error {
	r := &e.Request
	switch p.name {
	case "id":
		return number(&r.ID, p.value)
	case "command":
		r.Command = append(r.Command, p.value)
	case "timeout":
		return duration(&r.Timeout, p.value)
	case "canary-by":
		r.CanaryBy = p.value
	case "canary":
		share, long, _ := strings.Cut(p.value, "/")
		c := Canary{}
		if err := number(&c.Share, share); err != nil {
			return err
		}
		if err := duration(&c.For, long); err != nil {
			return err
		}
		r.Canary = append(r.Canary, c)
	case "strategy":
		return number(&r.Strategy, p.value)
	case "again":
		r.Again = true
	case "force":
		r.Force = true
	case "signal":
		return number(&e.Signal, p.value)
	case "reason":
		e.Reason = p.value
	case "swap":
		return number(&e.Swap, p.value)
	case "hook":
		e.Command = append(e.Command, p.value)
	case "share":
		return number(&e.Share, p.value)
	case "superseded":
		e.Superseded = true
	case "back":
		e.Back = true
	default:
		return errField
	}
	return nil
}

// The names of the values of a configuration or an effect that are numbers in Go.
var (
	strategyNames   = append([]string{""}, StrategyNames()...)
	respawnNames    = []string{"", "on-failure", "always"}
	membershipNames = []string{"", "holder", "newest", "without"}
	socketNames     = []string{"", "own", "shared"}
	phaseNames      = []string{"running", "delaying", "stop draining", "stopping", "finishing", "sweeping", "killing", "over"}
)

func parseConfig(c *Config, line string) error {
	fields, err := pairs(line)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(c).Elem()
	for _, f := range fields {
		to := v.FieldByNameFunc(func(name string) bool { return kebab(name) == f.name })
		if !to.IsValid() {
			return fmt.Errorf("no such setting: %s", f.name)
		}
		if err := setConfig(to.Addr().Interface(), f.value); err != nil {
			return fmt.Errorf("cannot read setting %s: %w", f.name, err)
		}
	}
	return nil
}

func setConfig(to any, value string) error {
	switch to := to.(type) {
	case *time.Duration:
		return duration(to, value)
	case *int:
		return number(to, value)
	case *Signal:
		return number(to, value)
	case *bool:
		*to = true
	case *string:
		*to = value
	case *Strategy:
		return named(to, strategyNames, value)
	case *Respawn:
		return named(to, respawnNames, value)
	case *Membership:
		return named(to, membershipNames, value)
	case *[]Canary:
		for stage := range strings.SplitSeq(value, ",") {
			share, long, _ := strings.Cut(stage, "%/")
			percent, err := strconv.ParseFloat(share, 64)
			if err != nil {
				return err
			}
			c := Canary{Share: int(math.Round(percent * Full / 100))}
			if err := duration(&c.For, long); err != nil {
				return err
			}
			*to = append(*to, c)
		}
	default:
		return fmt.Errorf("a setting of type %T cannot be written", to)
	}
	return nil
}

func named[T ~uint8](to *T, names []string, value string) error {
	for i, name := range names {
		if name == value {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("accepted: %v", names[1:])
}

func TestEventsAreReadStrictly(t *testing.T) {
	for _, line := range []string{
		`exited generation=2 worker=1 status=3`, `exited generation=1 signal=9`, `ping generation=1 for=2s`,
		`swap id=1 command="a b" command="\"" timeout=5s canary="2500/1s" canary="5000/3s" canary-by="client" strategy=3 again force`,
		`prepared swap=2 reason="no" hook="x"`, `forward signal=10`, `tick`, `lost reason="rolled back" back`,
		`granted swap=2 share=10000`, `denied swap=1 reason="a newer one has it" superseded`, `away`, `never generation=3 reason="closed\nit"`,
	} {
		if e, err := parseEvent(line); err != nil {
			t.Errorf("%s: %v", line, err)
		} else if e.String() != line {
			t.Errorf("%s is read as %s", line, e)
		}
	}
	for _, line := range []string{
		``, `exits generation=1`, `exited generation=1 colour=red`, `exited worker=1 generation=1`, `exited generation=x`, `exited  generation=1`,
		`exited generation=1 status`, `exited generation=1 status=0`, `swap id=1 worker=2`, `swap again=1`, `tick tock`, `note reason="open`, `ping for=2`,
		`swap canary="1%/1s"`, `exited generation=1 generation=2`,
	} {
		if e, err := parseEvent(line); err == nil {
			t.Errorf("%q is read as %s", line, e)
		}
	}
	var c Config
	for _, line := range []string{`settle=fast`, `colour=red`, `strategy=mixed`, `membership=alone`, `canary=1/10s`, `canary=1%`, `abort-signal=x`, `ready-hint="x`} {
		if parseConfig(&c, line) == nil {
			t.Errorf("config %s is read as %+v", line, c)
		}
	}
}

func TestConfigIsWrittenAsItIsRead(t *testing.T) {
	for seed := range uint64(200) {
		have, read := newWorld(seed).cfg, baseConfig()
		line := describeConfig(have)
		if err := parseConfig(&read, strings.TrimPrefix(line, "config")); err != nil || !reflect.DeepEqual(have, read) {
			t.Fatalf("%s: %v: %+v is read as %+v", line, err, have, read)
		}
	}
}
