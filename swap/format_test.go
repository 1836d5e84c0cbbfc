package swap

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
)

// How scenarios are written: events, configurations and effects as a word and
// name=value pairs, those that are not zero.

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
	case "hook":
		e.Command = append(e.Command, p.value)
	default:
		return errField
	}
	return nil
}

// The names of the values of a configuration or an effect that are numbers in Go.
var (
	strategyNames = []string{"", "overlap", "handover", "replace"}
	respawnNames  = []string{"", "on-failure", "always"}
	socketNames   = []string{"", "own", "shared"}
	phaseNames    = []string{"running", "delaying", "stopping", "sweeping", "over"}
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

// describeConfig is the config line of a configuration.
func describeConfig(c Config) string {
	out := "config"
	v, base := reflect.ValueOf(c), reflect.ValueOf(baseConfig())
	for i := range v.NumField() {
		if reflect.DeepEqual(v.Field(i).Interface(), base.Field(i).Interface()) {
			continue
		}
		name := kebab(v.Type().Field(i).Name)
		switch value := v.Field(i).Interface().(type) {
		case bool:
			out += " " + name
		case Strategy:
			out += " " + name + "=" + strategyNames[value]
		case Respawn:
			out += " " + name + "=" + respawnNames[value]
		case string:
			out += " " + name + "=" + strconv.Quote(value)
		case []Canary:
			for i, stage := range value {
				sep := ","
				if i == 0 {
					sep = " " + name + "="
				}
				out += sep + percent(stage.Share) + "/" + stage.For.String()
			}
		default:
			out += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	return out
}

// kebab makes cut-over of CutOver.
func kebab(s string) string {
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func percent(share int) string {
	return strconv.FormatFloat(float64(share)*100/Full, 'f', -1, 64) + "%"
}

// kindOf names the type of an effect.
func kindOf(e Effect) string { return kebab(reflect.TypeOf(e).Elem().Name()) }

// describeAll writes effects a line each, and what is told to several in one.
func describeAll(effects []Effect) (lines []string) {
	for i := 0; i < len(effects); i++ {
		line := describe(effects[i])
		if p, ok := effects[i].(*Progress); ok {
			to := hearer(p.ID)
			for ; i+1 < len(effects); i++ {
				next, ok := effects[i+1].(*Progress)
				if !ok || describe(next) != line {
					break
				}
				to += "," + hearer(next.ID)
			}
			line += " to=" + to
		}
		lines = append(lines, "  "+line)
	}
	return lines
}

func hearer(id uint64) string {
	if id == 0 {
		return "log"
	}
	return strconv.FormatUint(id, 10)
}

// describe writes an effect as scenarios have it.
func describe(e Effect) string {
	switch e := e.(type) {
	case *Transition:
		if e.Generation == 0 {
			return fmt.Sprintf("transition rollout %s -> %s: %s", e.From, e.To, e.Cause)
		}
		return fmt.Sprintf("transition generation=%d %s -> %s: %s", e.Generation, e.From, e.To, e.Cause)
	case *Progress:
		if e.ID != 0 { // describeAll tells it
			all := *e
			all.ID = 0
			return describe(&all)
		}
	}
	out := kindOf(e)
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		name, field := kebab(v.Type().Field(i).Name), v.Field(i)
		if st, ok := field.Interface().(Status); ok { // success is worth a word
			if st.Signal != 0 {
				name, field = "signal", reflect.ValueOf(st.Signal)
			} else {
				out += " status=" + strconv.Itoa(st.Code)
				continue
			}
		}
		if field.IsZero() {
			continue
		}
		switch value := field.Interface().(type) {
		case bool:
			out += " " + name
		case []string:
			for _, word := range value {
				out += " " + name + "=" + strconv.Quote(word)
			}
		case Sockets:
			out += " " + name + "=" + socketNames[value]
		case string:
			out += " " + name + "=" + strconv.Quote(value)
		case int:
			text := strconv.Itoa(value)
			if name == "share" {
				text = percent(value)
			} else if name == "worker" && value == EveryWorker {
				text = "every"
			}
			out += " " + name + "=" + text
		default:
			out += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	return out
}

// describeViews tells what a machine says of itself.
func describeViews(m *Machine) []string {
	head := fmt.Sprintf("  %s active=%d", phaseNames[m.Phase()], m.Active())
	if m.Swapping() {
		head += " swapping"
	}
	lines := []string{head}
	for _, v := range m.Views() {
		line := fmt.Sprintf("  generation=%d %s", v.Number, v.State)
		for _, flag := range []struct {
			on   bool
			name string
		}{{v.Failed, "failed"}, {v.Ready, "says-ready"}, {v.Ended, "ended"}} {
			if flag.on {
				line += " " + flag.name
			}
		}
		for _, word := range v.Command {
			line += " command=" + strconv.Quote(word)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEventsAreReadStrictly(t *testing.T) {
	for _, line := range []string{
		`exited generation=2 worker=1 status=3`, `exited generation=1 signal=9`, `ping generation=1 for=2s`,
		`swap id=1 command="a b" command="\"" timeout=5s canary="2500/1s" canary="5000/3s" strategy=3 again force`,
		`prepared reason="no" hook="x"`, `forward signal=10`, `tick`, `never generation=3 reason="closed\nit"`,
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
	for _, line := range []string{`settle=fast`, `colour=red`, `strategy=mixed`, `canary=1/10s`, `canary=1%`, `abort-signal=x`, `ready-hint="x`} {
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
