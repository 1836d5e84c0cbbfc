package pid1

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/reaper"
)

// launched is what launch hands to the loop.
type launched struct {
	proc     *reaper.Process
	pipe     *ready.Pipe
	notify   *ready.Notify
	channels []*channel.Channel
	shown    []string
	dir      string
}

// maxFile bounds the files that are read before a start. They may be anything,
// a device or a pipe that nobody writes to included.
const maxFile = 1 << 20

// launch starts the program of a worker and waits for its end, in a goroutine of
// its own: an exec can hang on a file system, and a child in its exec stage on
// anything. cautious is for give.
func (i *Init) launch(w *worker, cautious bool) {
	var l launched
	w.g.starting <- struct{}{}
	child, err := i.fork(w, &l, cautious)
	<-w.g.starting
	if err != nil {
		l.close()
		i.post(func() { i.launchFailed(w, err, exitStatus(err)) })
		return
	}
	w.mainPid.Store(int32(l.proc.Pid()))
	i.post(func() { i.forked(w, &l) })
	// After that, so that the loop knows the process of which it is told
	// something; and here, so that await can ask for what was said last.
	l.notify.Watch(func(pid int, _ uint32) bool { return i.belongs(w.g, pid) }, func(m ready.Message) { i.post(func() { i.notified(w, m) }) })
	l.pipe.Watch(func(e ready.PipeEvent) { i.post(func() { i.piped(w, e) }) })
	for n, c := range l.channels {
		c.Watch(func(m channel.Message) { i.post(func() { i.said(w, n, m) }) })
	}
	if err := child.Exec(); err != nil {
		i.post(func() { i.launchFailed(w, err, exitStatus(err)) })
		<-l.proc.Exited()
		i.bells.ring()
		return
	}
	i.post(func() { i.started(w) })
	i.await(w, l.proc, l.notify)
}

func (l *launched) close() {
	if l.pipe != nil {
		l.pipe.Close()
	}
	if l.notify != nil {
		l.notify.Close()
	}
	closeAll(l.channels)
}

// fork prepares everything anew, as it is now: the command, the environment
// file, the directory and the user may have changed since the last start.
func (i *Init) fork(w *worker, l *launched, cautious bool) (*spawn.Child, error) {
	n := w.g.number
	command, err := i.resolve(w.g)
	if err != nil {
		return nil, err
	}
	user, uid, err := i.user()
	if err != nil {
		return nil, err
	}
	if l.pipe, err = ready.NewPipe(); err != nil {
		return nil, fmt.Errorf("cannot make the readiness pipe: %w", err)
	}
	if l.notify, err = ready.NewNotify(n, nil, uid); err != nil {
		return nil, err
	}
	if l.channels, err = newChannels(i.set.NodeIPC); err != nil {
		return nil, err
	}
	given, err := i.give(n, cautious, w.g.together)
	if err != nil {
		return nil, err
	}
	defer given.Close()
	env, pidVars, err := i.serverEnviron(w, given, l.notify.Address())
	if err != nil {
		return nil, err
	}
	files := []uintptr{0, 1, 2}
	if given.Stdin != listen.NoFile {
		files[0] = given.Stdin
	}
	files = append(append(files, given.Files...), l.pipe.ChildEnd())
	for _, c := range l.channels {
		files = append(files, c.ChildEnd())
	}
	spec := spawn.Spec{Argv: command, Env: env, Files: files, User: user, Tty: i.terminal.forFirst(n, w.index), PidVars: pidVars, Ignore: i.opt.Ignored}
	child, proc, err := i.spawn(&spec, n, given)
	// The parent's copies must not outlive the child's, or their end is never seen.
	l.pipe.CloseChildEnd()
	for _, c := range l.channels {
		c.CloseChildEnd()
	}
	if err != nil {
		return nil, err
	}
	l.proc, l.dir = proc, spec.Dir
	l.shown = append([]string{realPath(spec.Path, spec.Dir)}, spec.Argv[1:]...)
	return child, nil
}

// spawn resolves the directory, the templates in the command and its path, in
// spec, and starts it.
func (i *Init) spawn(spec *spawn.Spec, generation int, given listen.Given) (child *spawn.Child, proc *reaper.Process, err error) {
	if spec.Dir, err = i.resolveDir(); err != nil {
		return nil, nil, err
	}
	if spec.Argv, err = expandAll(spec.Argv, generation, given.FD); err != nil {
		return nil, nil, err
	}
	if spec.Path, err = spawn.LookPath(spec.Argv[0], lookup(spec.Env, "PATH"), spec.Dir); err != nil {
		return nil, nil, err
	}
	proc, err = i.reaper.Start(func() (int, int, error) {
		i.forking.Add(1)
		defer i.forking.Add(-1)
		if i.sweeping.Load() {
			return 0, -1, errors.New("the container is stopping")
		}
		var err error
		if child, err = spawn.Fork(*spec); err != nil {
			return 0, -1, err
		}
		return child.Pid, child.PidFD, nil
	})
	return child, proc, err
}

// user is the children's, nil and -1 if it is our own.
func (i *Init) user() (*spawn.User, int, error) {
	if i.set.User == "" {
		return nil, -1, nil
	}
	u, err := spawn.LookupUser(i.set.User)
	if err != nil {
		return nil, -1, fmt.Errorf("cannot use SWAPINIT_USER=%q: %w", i.set.User, err)
	}
	return u, int(u.Uid), nil
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

// defaultCommand is what a start without a command of its own runs: the target
// file's, else the one that an earlier swap named, else SWAPINIT_SWAP_COMMAND
// (but for the first generation), else the command line's.
func (i *Init) defaultCommand(number int, current []string) ([]string, error) {
	if name := i.set.TargetFile; name != "" {
		data, err := i.readFile("SWAPINIT_TARGET_FILE", name)
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
	case number > 1 && len(i.set.SwapCommand) > 0:
		return i.set.SwapCommand, nil
	case len(i.set.Command) > 0:
		return i.set.Command, nil
	}
	return nil, fmt.Errorf("no command: SWAPINIT_TARGET_FILE=%s does not exist and the command line names none", i.set.TargetFile)
}

// readFile reads a file that a setting names. Not through the loop: it may be
// on a file system that hangs.
func (i *Init) readFile(variable, name string) ([]byte, error) {
	path := i.absolute(name)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot use %s=%q: not a regular file", variable, name)
	}
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("cannot use %s=%q: it has %d bytes, accepted are at most %d", variable, name, info.Size(), maxFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s=%q: %w", variable, name, err)
	}
	return data, nil
}

// absolute takes a path as the user who started swapinit meant it, whose
// working directory is not the init's.
func (i *Init) absolute(name string) string {
	if filepath.IsAbs(name) || i.dir == "" {
		return name
	}
	return filepath.Join(i.dir, name)
}

// resolveDir finds the child's working directory as it is now: behind a
// symbolic link there may be another release than at the last start.
func (i *Init) resolveDir() (string, error) {
	if i.set.Dir == "" {
		return i.childDir, nil
	}
	dir, err := filepath.EvalSymlinks(i.absolute(i.set.Dir))
	if err != nil {
		return "", fmt.Errorf("cannot use SWAPINIT_DIR=%q: %w", i.set.Dir, err)
	}
	return dir, nil
}

// realPath is the path behind symbolic links, for people: the program is run by
// the name under which it was found, because some look at it.
func realPath(path, dir string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func exitStatus(err error) int {
	var e *spawn.Error
	if errors.As(err, &e) {
		return e.ExitStatus()
	}
	return exitOwn
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

func (i *Init) fail(event, message string, generation int) {
	i.say(logline.Error, event, message, generation, 0)
}
