package pid1

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/text"
)

// sharedEnviron is what the servers of a generation, its probes and the hooks of
// its swap have in common. number is 0 when it is not known. For what is beside them those
// variables are left out whose value names a socket.
func (l *launcher) sharedEnviron(number int, given listen.Given) (env []string, err error) {
	env = append(env, l.environ...)
	if l.set.EnvFile != "" {
		data, err := l.readFile("SWAPINIT_ENV_FILE", l.set.EnvFile)
		if err != nil {
			return nil, err
		}
		file, err := config.EnvFile(data)
		if err != nil {
			return nil, text.Errorf("cannot use SWAPINIT_ENV_FILE=%q: %w", l.set.EnvFile, err)
		}
		for _, kv := range file {
			env = set(env, kv.Key, kv.Value)
		}
		env = listen.Scrub(env)
	}
	if number == beside {
		env = slices.DeleteFunc(env, namesSocket)
	}
	for n, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.Contains(value, "{") {
			continue
		}
		fd := given.FD
		if name == "NGINX" {
			fd = given.NonblockFD
		}
		if value, err = config.Expand(value, max(0, number), fd); err != nil {
			return nil, text.Errorf("cannot use the environment variable %s: %w", name, err)
		}
		env[n] = name + "=" + value
	}
	if number > 0 {
		env = append(env, "SWAPINIT_GENERATION="+itoa(number))
	}
	if l.procs.control != "" {
		env = append(env, "SWAPINIT_CONTROL="+l.procs.control)
	}
	return env, nil
}

// namesSocket reports whether a variable stands for a descriptor.
func namesSocket(kv string) bool {
	_, err := config.Expand(kv, 0, nil)
	return err != nil
}

// serverEnviron makes the environment of a worker. pidVars are those of its
// variables that must hold its own pid, which nobody knows before it is forked.
func (l *launcher) serverEnviron(w *worker, given listen.Given, notify string) (env, pidVars []string, err error) {
	number := w.g.number
	if env, err = l.sharedEnviron(number, given); err != nil {
		return nil, nil, err
	}
	for _, kv := range given.Environ(l.set.Export, number, os.Getpid()) {
		env = append(env, kv)
		if strings.HasPrefix(kv, "LISTEN_PID=") {
			pidVars = append(pidVars, "LISTEN_PID")
		}
	}
	fd := 3 + len(given.Files)
	env = append(env, w.variable(), "SWAPINIT_READY_FD="+itoa(fd), "SWAPINIT_CHANNEL_FD="+itoa(fd+1))
	if l.set.Ready != "none" || l.set.Watchdog > 0 { // or some would complain of a socket that nobody asked for
		env = append(env, "NOTIFY_SOCKET="+notify)
	}
	if l.set.NodeIPC {
		env = append(env, "NODE_CHANNEL_FD="+itoa(fd+2), "NODE_CHANNEL_SERIALIZATION_MODE=json")
	}
	if w := l.set.Watchdog; w > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(w.Microseconds(), 10), "WATCHDOG_PID=0")
		pidVars = append(pidVars, "WATCHDOG_PID")
	}
	return env, pidVars, nil
}

// variable tells it, and its probes, which one it is.
func (w *worker) variable() string { return "SWAPINIT_WORKER=" + itoa(w.index) }

// set replaces a variable where it stands, or appends it.
func set(env []string, key, value string) []string {
	for n, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); name == key {
			env[n] = key + "=" + value
			return env
		}
	}
	return append(env, key+"="+value)
}

// lookup finds a variable's value, the first one as getenv(3) does.
func lookup(env []string, key string) string {
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok && name == key {
			return value
		}
	}
	return ""
}
