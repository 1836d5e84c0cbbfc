package config

import (
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// flags is what stands before the command. The letters are tini's (g e p s w
// v h) and dumb-init's (r c v V h), the long names dumb-init's: tini's one long
// name, --version, is among them.
type flags struct {
	parsers     *Parsers
	group       *bool // -g, -c: the last one counts
	exits       map[int]int
	rewrites    map[syscall.Signal]syscall.Signal
	parentDeath syscall.Signal
	orphans     bool
	verbose     int
	version     bool
	help        bool
	command     []string
}

// longFlags are the letters of the long names.
var longFlags = map[string]rune{"single-child": 'c', "rewrite": 'r', "verbose": 'v', "version": 'V', "help": 'h'}

// parseFlags reads flags up to the first argument that is not one; what
// follows is the command's, flags or not. The first -h or -V ends it all.
func parseFlags(args []string, p *Parsers) (*flags, error) {
	f := &flags{parsers: p}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			args = args[1:]
			break
		}
		if len(arg) < 2 || arg[0] != '-' { // "" and "-" are commands
			break
		}
		var err error
		if name, long := strings.CutPrefix(arg, "--"); long {
			args, err = f.long(name, args[1:])
		} else {
			args, err = f.bundle(arg[1:], args[1:])
		}
		if err != nil {
			return nil, err
		}
		if f.help || f.version {
			return f, nil
		}
	}
	f.command = slices.Clone(args)
	return f, nil
}

// long handles --name, --name=value and --name value; it returns the arguments
// that are left.
func (f *flags) long(name string, rest []string) ([]string, error) {
	name, value, attached := strings.Cut(name, "=")
	letter := longFlags[name] // 0 is no flag's
	shown := "--" + name
	switch {
	case wants(letter) != "":
		return f.setValue(shown, letter, value, attached, rest)
	case letter != 0 && attached:
		return nil, usage("flag " + shown + " takes no value")
	case !f.set(letter):
		return nil, f.unknown(shown)
	}
	return rest, nil
}

// bundle handles -gv, -e143, -e 143 and -ge143.
func (f *flags) bundle(letters string, rest []string) ([]string, error) {
	for letters != "" && !f.help && !f.version {
		letter, size := utf8.DecodeRuneInString(letters)
		shown := "-" + letters[:size]
		letters = letters[size:]
		if wants(letter) != "" {
			return f.setValue(shown, letter, letters, letters != "", rest)
		}
		if !f.set(letter) {
			return nil, f.unknown(shown)
		}
	}
	return rest, nil
}

// set handles a flag without a value, false if there is none of that letter.
func (f *flags) set(letter rune) bool {
	switch letter {
	case 'g', 'c':
		group := letter == 'g'
		f.group = &group
	case 's': // swapinit is a subreaper by itself whenever it is not PID 1
	case 'w':
		f.orphans = true
	case 'v':
		f.verbose++
	case 'V':
		f.version = true
	case 'h':
		f.help = true
	default:
		return false
	}
	return true
}

// setValue handles a flag with a value, which is the next argument when it is
// not attached. It returns the arguments that are left.
func (f *flags) setValue(shown string, letter rune, value string, attached bool, rest []string) ([]string, error) {
	if !attached {
		if len(rest) == 0 {
			return nil, usage("flag " + shown + " needs a value: want " + wants(letter))
		}
		value, rest = rest[0], rest[1:]
	}
	var err error
	switch letter {
	case 'e':
		var status int
		status, err = exitStatus(value)
		put(&f.exits, status, 0)
	case 'p':
		f.parentDeath, err = f.parsers.signal(value)
	case 'r':
		from, to, _ := strings.Cut(value, ":")
		if to == "" {
			return nil, badFlag(shown, letter, value, "")
		}
		var left, right syscall.Signal
		if left, err = f.parsers.caught(from); err == nil {
			right, err = f.parsers.rewritten(to)
		}
		put(&f.rewrites, left, right)
	}
	if err != nil {
		return nil, badFlag(shown, letter, value, err.Error()+"; ")
	}
	return rest, nil
}

// put makes the map when it is nil.
func put[N ~int](m *map[N]N, key, value N) {
	if *m == nil {
		*m = make(map[N]N)
	}
	(*m)[key] = value
}

// apply lets the flags win over the environment. levels are those of the log.
func (f *flags) apply(s *Settings, levels []string) {
	s.Command, s.ParentDeath, s.LogOrphans = f.command, f.parentDeath, f.orphans
	if f.group != nil {
		s.KillGroup = *f.group
	}
	for from, to := range f.exits {
		put(&s.ExitMap, from, to)
	}
	for from, to := range f.rewrites {
		put(&s.SignalMap, from, to)
	}
	if i := slices.Index(levels, s.Log); i >= 0 { // else check refuses it
		s.Log = levels[min(i+f.verbose, len(levels)-1)]
	}
}

// wants is the value that a flag takes, "" for one that takes none.
func wants(letter rune) string {
	switch letter {
	case 'e':
		return "an exit status, 0 to 255"
	case 'p':
		return "a signal such as KILL or 9"
	case 'r':
		return "FROM:TO, signals such as TERM:QUIT or 15:3, TO 0 drops"
	}
	return ""
}

func badFlag(shown string, letter rune, value, problem string) error {
	return usage("cannot use " + shown + " " + quote(value) + ": " + problem + "want " + wants(letter))
}

func (f *flags) unknown(shown string) error {
	return usage("unknown flag " + quote(shown) + ": see " + f.parsers.help())
}

func usage(problem string) error { return &UsageError{problem} }
