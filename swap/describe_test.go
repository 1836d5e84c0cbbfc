package swap

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// How scenarios are written: configurations, effects and views as a word and
// name=value pairs, those that are not zero.

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
		case Membership:
			out += " " + name + "=" + membershipNames[value]
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
func kindOf(e Effect) string {
	t := reflect.TypeOf(e)
	if kinds[t] == "" {
		kinds[t] = kebab(t.Elem().Name())
	}
	return kinds[t]
}

var kinds = map[reflect.Type]string{}

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
func describeViews(m account) []string {
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
