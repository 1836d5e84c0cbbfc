package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/atomicfile"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
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
		var command []string
		data, err := atomicfile.Read(l.absolute(name), maxFile)
		if err == nil {
			if command, err = config.Target(data); err == nil {
				return command, nil
			}
		}
		if !errors.Is(err, syscall.ENOENT) {
			return nil, text.Errorf("cannot use SWAPINIT_TARGET_FILE=%q: %w; want a file with one command on one line", name, err)
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
	return nil, text.Errorf("no command: SWAPINIT_TARGET_FILE=%s does not exist and the command line names none", l.set.TargetFile)
}

// rehearse is what would keep generation n from being started, as far as can be told
// without starting anything. Its endpoints have the numbers of those of generation like.
// after is what would go wrong when it has all the traffic.
func (l *launcher) rehearse(n, like int, current []string) (problems, after []string) {
	given, found := l.sockets(like), true
	note := func(err error) {
		if err != nil {
			problems, found = append(problems, err.Error()), false
		}
	}
	dir, err := l.resolveDir()
	note(err)
	env, err := l.sharedEnviron(n, given)
	note(err)
	_, _, err = l.user()
	note(err)
	command, err := l.defaultCommand(n, current)
	if len(l.set.PreSwap) > 0 {
		command, err = nil, nil // it may name another one
	}
	note(err)
	if !found {
		return problems, nil // what follows would say nothing
	}
	var asks []string
	if rest, ok := strings.CutPrefix(l.set.Ready, "exec:"); ok {
		asks, _ = config.Words(rest) // it was parsed before
	}
	check := l.set.CanaryCheck
	if len(l.set.Canary) == 0 || len(check) == 1 && strings.Contains(check[0], "://") {
		check = nil // a swap does not ask it, or it is no command
	}
	try := func(problems *[]string, name string, words []string) {
		if len(words) == 0 {
			return
		}
		words, err := expand(words, n, given)
		if err == nil {
			_, err = spawn.LookPath(words[0], lookup(env, "PATH"), dir)
		}
		if err != nil {
			*problems = append(*problems, name+err.Error())
		}
	}
	try(&problems, "", command)
	try(&problems, "SWAPINIT_PRE_SWAP: ", l.set.PreSwap)
	try(&after, "", l.set.PostSwap)
	try(&problems, "SWAPINIT_READY: ", asks)
	try(&problems, "SWAPINIT_CANARY_CHECK: ", check)
	return problems, after
}

// expand replaces the templates in a command.
func expand(words []string, generation int, given listen.Given) (argv []string, err error) {
	argv = make([]string, len(words))
	for n, word := range words {
		if argv[n], err = config.Expand(word, generation, given.FD); err != nil {
			return nil, text.Errorf("cannot use the command: %w", err)
		}
	}
	return argv, nil
}

// writeTime bounds how long the answer to a swap waits for the target file.
const writeTime = 10 * time.Second

// writeTarget makes a restarted container resume with what was swapped in, and
// then lets those be answered who asked for the swap: whoever restarts the
// container next shall find the file written. existing: only if there is a file.
func (i *Init) writeTarget(command []string, existing bool) {
	i.clients.writing++
	written := make(chan error, 1)
	go func() { written <- i.launcher.writeTarget(command, existing) }()
	go func() {
		err := text.Errorf("not done within %v", writeTime)
		select {
		case err = <-written:
		case <-clock.After(writeTime):
		}
		if err != nil {
			i.warn("target", text.Sprintf("cannot write SWAPINIT_TARGET_FILE=%q: %v; a restarted container will not resume with the new command", i.launcher.absolute(i.set.TargetFile), err), 0, 0)
		}
		i.post(i.clients.release)
	}()
}

func (l *launcher) writeTarget(command []string, existing bool) error {
	l.target.Lock()
	defer l.target.Unlock()
	name := l.absolute(l.set.TargetFile)
	if existing && unix.Lstat(name, &unix.Stat_t{}) == syscall.ENOENT {
		return nil
	}
	data, err := config.FormatTarget(command)
	if err != nil {
		return err
	}
	return atomicfile.Write(name, data)
}

// resumeCommand makes the command of g, which has the traffic again, the one that the
// next swap and a restarted container run: the last one that was swapped in has failed.
func (i *Init) resumeCommand(g *generation) {
	i.gens.current = g.source.words
	if i.set.TargetFile != "" {
		i.writeTarget(g.source.words, true)
	}
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

// maxFile bounds the files that are read before a start. They may be anything,
// a device or a pipe that nobody writes to included.
const maxFile = 1 << 20

// readFile reads a file that a setting names.
func (l *launcher) readFile(variable, name string) ([]byte, error) {
	path := l.absolute(name)
	var data []byte
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case err != nil:
		err = &os.PathError{Op: "stat", Path: path, Err: err}
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errors.New("not a regular file")
	case st.Size > maxFile:
		err = text.Errorf("it has %d bytes, accepted are at most %d", st.Size, maxFile)
	default:
		data, err = file.Read(path)
	}
	if err != nil {
		return nil, text.Errorf("cannot use %s=%q: %w; want the path of a file", variable, name, err)
	}
	return data, nil
}

// absolute takes a path as the user who started swapinit meant it, whose
// working directory is not the init's.
func (l *launcher) absolute(name string) string {
	if filepath.IsAbs(name) || l.dir == "" {
		return name
	}
	return filepath.Join(l.dir, name)
}

// resolveDir finds the child's working directory as it is now: behind a
// symbolic link there may be another release than at the last start.
func (l *launcher) resolveDir() (string, error) {
	if l.set.Dir == "" {
		// Else the command is looked for, and not found, in a directory that is gone.
		if err := unix.Stat(l.childDir, &unix.Stat_t{}); l.childDir != "" && err == syscall.ENOENT {
			return "", text.Errorf("cannot use %q, the directory in which swapinit was started (WORKDIR): %w; set SWAPINIT_DIR to one that stays, or to a link that is led elsewhere", l.childDir, err)
		}
		return l.childDir, nil
	}
	dir, err := file.Real(l.absolute(l.set.Dir))
	if err != nil {
		return "", badDir(l.set.Dir, err)
	}
	return dir, nil
}

func badDir(dir string, err error) error {
	return text.Errorf("cannot use SWAPINIT_DIR=%q: %w; want the path of a directory", dir, err)
}

// blame names the setting that a start failed of.
func (l *launcher) blame(err error) error {
	e, ok := errors.AsType[*spawn.Error](err)
	switch {
	case ok && e.Stage == "chdir" && l.set.Dir != "":
		return badDir(l.set.Dir, err)
	case ok && e.Stage == "user" && l.set.User != "":
		return text.Errorf("cannot use SWAPINIT_USER=%q: %w; want a user that swapinit can become, or none", l.set.User, err)
	}
	return err
}

// realPath is the path behind symbolic links, for people: the program is run by
// the name under which it was found, because some look at it.
func realPath(path, dir string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if real, err := file.Real(path); err == nil {
		return real
	}
	return path
}
