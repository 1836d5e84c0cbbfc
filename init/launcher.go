package pid1

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/swapinit/swapinit/internal/cgroup"
	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
	"golang.org/x/sys/unix"
)

// launcher makes children: workers, and what runs beside them. Its fields do not
// change once the first child runs, but for the last four; its methods wait for
// files, so they are for any goroutine but the loop's.
type launcher struct {
	set      *config.Settings
	environ  []string         // the children's, before the environment file and what is theirs alone
	dir      string           // the working directory at the start, "" if it had no name
	childDir string           // what a child changes to without SWAPINIT_DIR, "" to stay where we are
	ignored  []syscall.Signal // the children ignore them again
	terminal *terminal
	procs    *processes
	reaper   *reaper.Reaper
	adoption *adoption
	wake     func() // after one was reaped

	newSockets func(n int, cautious, together bool) (listen.Given, error) // see give
	sockets    func(n int) listen.Given                                   // those that generation n has

	kills   atomic.Int64 // for want of memory, as far as we know of them
	forking atomic.Int32 // forks going on
	closed  atomic.Bool  // everything is being ended: no more forks
	target  sync.Mutex   // one writer of the target file at a time
}

// launched is what fork hands to the loop.
type launched struct {
	ipc
	child *spawn.Child
	proc  *reaper.Process
	shown []string
	dir   string
	uid   uint32 // that it was started with
	given int    // sockets that it was started with
}

// ipc are the ways in which a worker speaks to us.
type ipc struct {
	pipe     *ready.Pipe
	notify   *ready.Notify
	channels []*channel.Channel // one or two, see lines and node
}

// close closes all but the notification socket. It may be called again.
func (v *ipc) close() {
	if v.pipe != nil {
		v.pipe.Close()
	}
	for _, c := range v.channels {
		c.Close()
	}
}

// unlink closes the notification socket, which has a path. It may be called
// again.
func (v *ipc) unlink() {
	if v.notify != nil {
		v.notify.Close()
	}
}

// leaveDir makes / the working directory, as an init must not pin a mount; the
// children go back to where swapinit was started. Where they could not (it has
// no name any more, we or SWAPINIT_USER may not search it), it is inherited as
// without swapinit, and pinned.
func (l *launcher) leaveDir() {
	var err error
	if l.dir, err = unix.Getwd(); err != nil {
		l.dir = ""
		return
	}
	if l.set.User == "" && syscall.Access(l.dir, unix.X_OK) == nil && syscall.Chdir("/") == nil {
		l.childDir = l.dir
	}
}

// fork starts the program of a worker. Everything is prepared as it is now: the
// command, the environment file, the directory and the user may have changed
// since the last start. cautious is for give. What it has made is the caller's,
// with an error too.
func (l *launcher) fork(w *worker, cautious bool) (made launched, err error) {
	n := w.g.number
	l.adoption.begin(w.g)
	command, err := l.resolve(w.g)
	if err == nil {
		err = l.adoption.alone(n, func(other *generation) bool {
			words, _ := l.resolve(other)
			return slices.Equal(words, command)
		})
	}
	if err != nil {
		return made, err
	}
	if l.set.Plain {
		return l.forkPlain(w, command)
	}
	user, uid, err := l.user()
	if err != nil {
		return made, err
	}
	if user != nil {
		user.OwnStdio()
	}
	if made.pipe, err = ready.NewPipe(); err != nil {
		return made, err
	}
	made.uid = uint32(uid)
	if made.notify, err = ready.NewNotify(n, nil, uid); err != nil {
		return made, err
	}
	if made.channels, err = newChannels(l.set.NodeIPC); err != nil {
		return made, err
	}
	given, err := l.newSockets(n, cautious, w.g.together)
	if err != nil {
		return made, err
	}
	defer given.Close()
	l.adoption.steering.own(w.g)
	made.given = len(given.Files)
	env, pidVars, err := l.serverEnviron(w, given, made.notify.Address())
	if err != nil {
		return made, err
	}
	files := []uintptr{0, 1, 2}
	if given.Stdin != listen.NoFile {
		files[0] = given.Stdin
	}
	files = append(append(files, given.Files...), made.pipe.ChildEnd())
	for _, c := range made.channels {
		files = append(files, c.ChildEnd())
	}
	spec := spawn.Spec{Argv: command, Env: env, Files: files, User: user, Tty: l.terminal.forFirst(w), PidVars: pidVars, Ignore: l.ignored, Adopt: l.adoption.on()}
	made.child, made.proc, err = l.spawn(&spec, n, given)
	// The parent's copies must not outlive the child's, or their end is never seen.
	made.pipe.CloseChildEnd()
	for _, c := range made.channels {
		c.CloseChildEnd()
	}
	if err != nil {
		return made, err
	}
	made.show(&spec)
	return made, nil
}

// forkPlain is fork for a child that gets what it would get without us and nothing
// else. Descriptors that were inherited stay as they are; those from 3 on are named, as
// the exec stage would use the next number.
func (l *launcher) forkPlain(w *worker, command []string) (made launched, err error) {
	files := []uintptr{0, 1, 2}
	for inherited(len(files)) {
		files = append(files, uintptr(len(files)))
	}
	spec := spawn.Spec{Argv: command, Env: l.environ, Files: files, Tty: l.terminal.forFirst(w), Ignore: l.ignored}
	if made.child, made.proc, err = l.spawn(&spec, w.g.number, listen.Given{}); err == nil {
		made.show(&spec)
	}
	return made, err
}

// show notes what is run, for people.
func (made *launched) show(spec *spawn.Spec) {
	made.dir = spec.Dir
	made.shown = append([]string{realPath(spec.Path, spec.Dir)}, spec.Argv[1:]...)
}

// spawn resolves the directory, the templates in the command and its path, in
// spec, and starts it.
func (l *launcher) spawn(spec *spawn.Spec, generation int, given listen.Given) (child *spawn.Child, proc *reaper.Process, err error) {
	if spec.Dir, err = l.resolveDir(); err != nil {
		return nil, nil, err
	}
	if !l.set.Plain {
		if spec.Argv, err = expand(spec.Argv, generation, given); err != nil {
			return nil, nil, err
		}
	}
	if spec.Path, err = spawn.LookPath(spec.Argv[0], lookup(spec.Env, "PATH"), spec.Dir); err != nil {
		return nil, nil, err
	}
	spec.NoPidFD = !l.reaper.PidFDs()
	spec.Adopt = spec.Adopt && l.adoption.allows(spec, generation)
	proc, err = l.reaper.Start(func() (int, int, error) {
		l.forking.Add(1)
		defer l.forking.Add(-1)
		if l.closed.Load() {
			return 0, -1, errors.New("the container is stopping")
		}
		var err error
		if child, err = spawn.Fork(*spec); err != nil {
			return 0, -1, l.blame(err)
		}
		return child.Pid, child.PidFD, nil
	})
	return child, proc, err
}

// outOfMemory reports whether the kernel has killed somebody of this container for want
// of memory since it was asked the last time.
func (l *launcher) outOfMemory() bool {
	n := int64(cgroup.MemoryKills())
	return l.kills.Swap(n) < n
}

// user is the children's, nil and -1 if it is our own.
func (l *launcher) user() (*spawn.User, int, error) {
	if l.set.User == "" {
		return nil, -1, nil
	}
	u, err := spawn.LookupUser(l.set.User)
	if err != nil {
		return nil, -1, text.Errorf("cannot use SWAPINIT_USER=%q: %w", l.set.User, err)
	}
	return u, int(u.Uid), nil
}

func exitStatus(err error) int {
	if e, ok := errors.AsType[*spawn.Error](err); ok {
		return e.ExitStatus()
	}
	return exitOwn
}
