package doctor

import (
	"strconv"
	"strings"
)

// server is one that is known by name.
type server struct {
	name  string // the beginning of it
	stops string // at these signals it ends gracefully; the first one is advised
}

// servers have signals of their own for a graceful end. The first one of each was tried, see
// test/e2e/zoo_servers_test.go; the others stand in their documentation.
var servers = [...]server{
	{"nginx", "QUIT"},
	{"apache2", "WINCH"},
	{"httpd", "WINCH"},
	{"haproxy", "USR1"},
	{"lighttpd", "INT"},
	{"php-fpm", "QUIT"},
	{"unicorn", "QUIT"},
	{"gunicorn", "TERM"},
	{"uvicorn", "TERM INT"},
	{"puma", "TERM INT"},
	{"caddy", "TERM INT"},
	{"postgres", "TERM INT"},
}

// EachServer is for the documentation.
func EachServer(each func(name, stops string)) {
	for _, s := range servers {
		each(s.name, s.stops)
	}
}

// The interpreters whose program is told by the command line.
var interpreters = [...]string{"python", "ruby"}

// wrappers start a server as their child, and cannot be one.
const wrappers = " sh bash dash ash zsh ksh mksh npm pnpm tini dumb-init catatonit docker-init su sudo runuser timeout make "

// shells do not pass signals on.
const shells = " sh bash dash ash zsh ksh mksh "

// title is the first word of the command line: a program, or what stands in its place.
func (p *Process) title() string {
	if len(p.Args) == 0 {
		return ""
	}
	word, _, _ := strings.Cut(p.Args[0], " ")
	return strings.TrimLeft(strings.TrimRight(base(word), ":"), "-")
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Wraps reports whether p starts servers, and is none.
func (p *Process) Wraps() bool { return in(wrappers, p.title()) }

func in(list, word string) bool { return word != "" && strings.Contains(list, " "+word+" ") }

// Text names it for people.
func (p *Process) Text() string { return p.name() + " (pid " + strconv.Itoa(p.Pid) + ")" }

func (p *Process) name() string {
	if s := p.known(); s != nil {
		return s.name
	}
	if p.Wraps() || p.Exe == "" {
		return p.title()
	}
	return p.Exe
}

// known is the server that p is, nil if it is none of those above.
func (p *Process) known() *server {
	if s := find(p.Exe); s != nil || p.Exe != "" && !interprets(p.Exe) {
		return s
	}
	if s := find(p.title()); s != nil || len(p.Args) < 2 {
		return s
	}
	if p.Args[1] == "-m" && len(p.Args) > 2 {
		return find(p.Args[2])
	}
	return find(base(p.Args[1]))
}

func find(name string) *server {
	for k := range servers {
		rest, ok := strings.CutPrefix(name, servers[k].name)
		if ok && strings.Trim(rest, "0123456789.-") == "" { // php-fpm8.2
			return &servers[k]
		}
	}
	return nil
}

func interprets(exe string) bool {
	for _, name := range interpreters {
		if strings.HasPrefix(exe, name) {
			return true
		}
	}
	return false
}

// IsUWSGI: it reloads itself at a TERM, unless it was told otherwise, on its command
// line, in its environment or in its configuration, which belong into Config.
func (p *Process) IsUWSGI() bool { return strings.HasPrefix(p.Exe, "uwsgi") }

// surely reports whether it does that.
func (p *Process) surely() bool {
	all := strings.Join(p.Args, " ") + " " + p.Config
	return p.IsUWSGI() && p.Config != "" && !strings.Contains(all, "die-on-term") && !strings.Contains(all, "UWSGI_DIE_ON_TERM") && !strings.Contains(all, "unix_signal:15")
}
