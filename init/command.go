package pid1

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/config"
)

// source is a generation's command as it was given: the templates are still in
// it. Whoever is started later, of this generation or of one that is to be the
// same, gets these words too, whatever the default is by then.
type source struct {
	once    sync.Once
	words   []string // nil: the default command, until resolved
	current []string // the newest command that a swap has named
	err     error
}

func (l *launcher) resolve(g *generation) ([]string, error) {
	s := g.source
	s.once.Do(func() {
		if s.words == nil {
			s.words, s.err = l.defaultCommand(g.number, s.current)
		}
	})
	return s.words, s.err
}

// defaultCommand is what a start without a command of its own runs: the target
// file's, else the one that an earlier swap named, else SWAPINIT_SWAP_COMMAND
// (but for the first generation), else the command line's.
func (l *launcher) defaultCommand(number int, current []string) ([]string, error) {
	if name := l.set.TargetFile; name != "" {
		data, err := l.readFile("SWAPINIT_TARGET_FILE", name)
		if err == nil {
			command, err := config.Target(data)
			if err != nil {
				return nil, fmt.Errorf("cannot use SWAPINIT_TARGET_FILE=%q: %w", name, err)
			}
			return command, nil
		}
		if !errors.Is(err, syscall.ENOENT) {
			return nil, err
		}
	}
	switch {
	case current != nil:
		return current, nil
	case number > 1 && len(l.set.SwapCommand) > 0:
		return l.set.SwapCommand, nil
	case len(l.set.Command) > 0:
		return l.set.Command, nil
	}
	return nil, fmt.Errorf("no command: SWAPINIT_TARGET_FILE=%s does not exist and the command line names none", l.set.TargetFile)
}

// expandAll replaces the templates in the words of a command.
func expandAll(command []string, generation int, fd func(string) (int, bool)) (argv []string, err error) {
	argv = make([]string, len(command))
	for n, word := range command {
		if argv[n], err = config.Expand(word, generation, fd); err != nil {
			return nil, fmt.Errorf("cannot use the command: %w", err)
		}
	}
	return argv, nil
}

// shown is a generation's command for a log line.
func shown(g *generation) string {
	if g == nil {
		return ""
	}
	s := strings.Join(g.command, " ")
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}
