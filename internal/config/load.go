package config

import (
	"slices"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
)

// Parsers are what other packages know about values. All of them are required.
type Parsers struct {
	// Program is the path by which swapinit was started. Errors name it, and under an
	// engine's name it can be a plain init, see plain.
	Program string
	// Gate: the settings are for `swapinit gate`, which runs no command.
	Gate       bool
	Signal     func(string) (syscall.Signal, error)
	SignalName func(syscall.Signal) string
	// Uncatchable is why a signal that swapinit gets can mean nothing to it, as in
	// "KILL cannot be caught"; "" where it can.
	Uncatchable func(syscall.Signal) string
	// Strategies are what SWAPINIT_STRATEGY can be. Beside tells of one of them
	// whether predecessor and successor serve side by side, which canaries, batches
	// and keeping need.
	Strategies []string
	Beside     func(strategy string) bool
	Listen     func(string) error
	Metrics    func(string) error
	Ready      func(string) error
}

// Load reads the settings from environ ("NAME=value", as of os.Environ) and
// args (the command line without the program's name, not beginning with a
// verb). A flag wins over the environment, the environment over the default.
// Of a variable given twice the last one counts, as in os/exec; os.Environ
// itself keeps only the first, as getenv(3) does.
//
// With -h or -V only that field is set: asking for help must work, whatever
// the environment holds. The error is a *UsageError or a *ValueError.
func Load(environ, args []string, p Parsers) (*Settings, error) {
	f, err := parseFlags(args, &p)
	if err != nil {
		return nil, err
	}
	if f.help || f.version {
		return &Settings{Help: f.help, Version: f.version}, nil
	}
	s := new(Settings)
	l := &loader{rows: p.rows(s), parsers: &p}
	if err := l.collect(environ); err != nil {
		return nil, err
	}
	if err := l.parse(); err != nil {
		return nil, err
	}
	if s.Sides, err = l.readSides(); err != nil {
		return nil, err
	}
	s.AsGate = p.Gate
	f.apply(s, l.row("SWAPINIT_LOG").oneOf)
	if err := l.check(s); err != nil {
		return nil, err
	}
	if p.Gate {
		if len(s.Command) > 0 {
			why := "gate takes no arguments, and got " + text.Quote(s.Command[0], 40) + ": it starts nothing"
			if s.Command[0] == "gate" {
				why += `; where the image's ENTRYPOINT has it already the container needs no command`
			}
			return nil, usage(why)
		}
		return s, nil
	}
	if len(s.Command) == 0 && s.TargetFile == "" {
		return nil, usage(`no command: name it after swapinit, as in "` + p.Program + ` nginx", or set SWAPINIT_TARGET_FILE; ENTRYPOINT in the shell form drops CMD, write it as ["` + p.Program + `", "--"]; see ` + p.help())
	}
	if !l.any() && Engine(p.Program) {
		s.plain(environ)
	}
	return s, nil
}

// loader is one run of Load.
type loader struct {
	rows    []setting
	parsers *Parsers
	values  map[string]string // what environ says, by whole name
}

// collect finds our variables in environ and refuses unknown ones.
func (l *loader) collect(environ []string) error {
	l.values = make(map[string]string)
	nested := false
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, Prefix) {
			continue
		}
		if slices.Contains(runtimeNames[:], name) {
			nested = nested || name == "SWAPINIT_GENERATION"
			continue
		}
		r := l.row(name)
		if r == nil && !strings.HasPrefix(name, sidePrefix) {
			return &ValueError{Variable: name, Value: value, Problem: l.unknown(name)}
		}
		if value == "" && r != nil && r.emptyMeans {
			value = " " // an empty value is the default; white space is an empty list
		}
		l.values[name] = value
	}
	if nested {
		// It is the address of the swapinit above, given to its children.
		delete(l.values, "SWAPINIT_CONTROL")
	}
	return nil
}

// any reports whether something was set. Compose has a variable empty where ${X:-} is.
func (l *loader) any() bool {
	for _, value := range l.values {
		if value != "" {
			return true
		}
	}
	return false
}

// nearest is the known setting that name may be meant to be.
func nearest(name string, known []setting) (best string, near bool) {
	var names []string
	for i := range known {
		names = append(names, strings.TrimPrefix(known[i].Name, Prefix))
	}
	typed := text.Upper(strings.TrimPrefix(name, Prefix))
	if head, name, _ := strings.Cut(typed, "_"); nearSide(head) {
		if name == "" {
			return sideVariable.Name, true
		}
		names = append(names, "SIDE_"+name)
	}
	best, near = text.Nearest(typed, names)
	return Prefix + best, near
}

func (l *loader) unknown(name string) string {
	best, near := nearest(name, l.rows)
	if near {
		return "no such setting, did you mean " + best + "?"
	}
	return "no such setting, the nearest is " + best + "; " + l.parsers.help() + " lists all"
}

// parse fills the fields. One line at a time: the first error in the table's order.
func (l *loader) parse() error {
	for i := range l.rows {
		r := &l.rows[i]
		value := l.value(r.Name)
		if value == "off" && r.Default == "off" && r.preset == "" {
			continue // as documented, and as if unset
		}
		if text := r.text(); text != nil {
			*text = value
		} else if value != "" {
			if err := l.parsers.read(r.field, value); err != nil {
				return l.bad(r.Name, err.Error())
			}
		}
	}
	return nil
}

// row finds a setting by its whole name; nil: there is none.
func (l *loader) row(name string) *setting {
	for i := range l.rows {
		if l.rows[i].Name == name {
			return &l.rows[i]
		}
	}
	return nil
}

// bad is the error for the value that the setting has.
func (l *loader) bad(name, problem string) error {
	return &ValueError{Variable: name, Value: l.value(name), Problem: problem, Accepts: l.row(name).Accepts}
}

// value is what was parsed for the setting.
func (l *loader) value(name string) string {
	if v := l.values[name]; v != "" {
		return v
	}
	return l.row(name).preset
}
