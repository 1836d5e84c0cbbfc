package doctor

import (
	"strings"
	"testing"
	"time"
)

// healthy are the facts of a server at which there is nothing to mend. Each case changes
// what it is about.
func healthy() *Facts {
	return &Facts{Generation: 2, Age: time.Hour, Ready: true, Shown: "auto", Hint: "; the server must speak",
		ReadyTimeout: time.Minute, RetireTimeout: 30 * time.Second, LeftoverTimeout: 5 * time.Second, Beside: true,
		Endpoints: []Endpoint{{Name: "web", Address: "tcp://[::]:8080", Held: true, Binds: true}},
		Mains:     []Process{{Pid: 7, Exe: "server", Args: []string{"/srv/server"}}},
		Signal:    "TERM", Number: 15, Setting: "SWAPINIT_STOP_SIGNAL", Drain: "idle",
		Memory: Room{Limit: 100 << 20, Used: 40 << 20, One: 30 << 20, Batch: 30 << 20},
		Tasks:  Room{Limit: 100, Used: 40, One: 10, Batch: 10}, Generations: 1, Most: 3}
}

func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(f *Facts)
		want string
	}{
		{"ready", func(*Facts) {}, ""},
		{"not yet", func(f *Facts) { f.Ready, f.Age = false, 3*time.Second }, "generation 2 is not ready yet (3s): the server must speak"},
		{"not yet, and why", func(f *Facts) { f.Ready, f.Age, f.Note = false, 3*time.Second, "last probe: no" }, "generation 2 is not ready yet (3s): last probe: no"},
		{"a source that says nothing", func(f *Facts) { f.Ready, f.Age, f.Hint, f.Shown = false, 1500*time.Millisecond, "", "delay:5s" }, "generation 2 is not ready yet (2s): it waits for SWAPINIT_READY=delay:5s"},
		{"it has asked for more time", func(f *Facts) { f.Ready, f.Patient = false, true }, "generation 2 is not ready yet (1h0m0s): the server must speak"},
		{"never", func(f *Facts) { f.Ready = false }, ""}, // which is a problem
		{"nobody", func(f *Facts) { f.Ready, f.Age, f.Generation = false, 1, 0 }, ""},
	} {
		f := healthy()
		c.set(f)
		if got := f.Waits(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	const term = 1 << 14
	wrapper := Process{Pid: 7, Exe: "dash", Args: []string{"/bin/sh", "-c", "gunicorn app"}}
	child := &Process{Pid: 9, Exe: "python3.11", Args: []string{"/usr/bin/python3", "/usr/bin/gunicorn", "app"}}
	wrapped := func(f *Facts) {
		f.Mains, f.Server, f.ListenPid, f.Unused, f.Elsewhere = []Process{wrapper}, child, 7, true, true
	}
	for _, c := range []struct {
		name string
		set  func(f *Facts)
		want []string // of the one finding; nil: there is none
	}{
		{"healthy", func(*Facts) {}, nil},

		{"never ready", func(f *Facts) { f.Ready = false }, []string{"SWAPINIT_READY=auto: generation 2 is not ready after 1h0m0s; a swap would wait for SWAPINIT_READY_TIMEOUT=1m0s and fail; the server must speak"}},
		{"never ready, and why", func(f *Facts) { f.Ready, f.Note, f.Hint = false, "last probe: no", "" }, []string{"after 1h0m0s: last probe: no; a swap", "set another SWAPINIT_READY"}},
		{"never ready, no limit", func(f *Facts) { f.Ready, f.ReadyTimeout = false, 0 }, []string{"without end (SWAPINIT_READY_TIMEOUT=0)"}},
		{"not ready yet", func(f *Facts) { f.Ready, f.Age = false, time.Second }, nil},
		{"not ready yet, no limit", func(f *Facts) { f.Ready, f.ReadyTimeout, f.Age = false, 0, 30*time.Second }, nil},
		{"it has asked for more time", func(f *Facts) { f.Ready, f.Patient = false, true }, nil},

		{"below a shell", func(f *Facts) {
			f.First = &Process{Pid: 1, Exe: "dash", Args: []string{"sh", "-c", "/swapinit -- server; true"}}
		}, []string{"PID 1: it is a shell, sh (pid 1), and swapinit is below it", "exec form"}},
		{"below busybox", func(f *Facts) {
			f.First = &Process{Pid: 1, Exe: "busybox", Args: []string{"/bin/busybox", "sh", "run"}}
		}, []string{"PID 1: it is a shell, busybox (pid 1)"}},
		{"below a shell with a handler", func(f *Facts) { f.First = &Process{Pid: 1, Args: []string{"bash", "run"}, Handled: term} }, nil},
		{"below another supervisor", func(f *Facts) { f.First = &Process{Pid: 1, Exe: "tini", Args: []string{"tini", "--", "sh"}} }, nil},
		{"below systemd", func(f *Facts) { f.First = &Process{Pid: 1, Exe: "systemd", Args: []string{"/sbin/init"}} }, nil},
		{"below an applet of busybox", func(f *Facts) { f.First = &Process{Pid: 1, Exe: "busybox", Args: []string{"busybox", "init"}} }, nil},
		{"below one that cannot be read", func(f *Facts) { f.First = &Process{Pid: 1} }, nil},
		{"loopback alone", func(f *Facts) { f.Loopback = []int{8080, 8443} }, []string{"SWAPINIT_LISTEN: its addresses are on the loopback interface of the container", "; SWAPINIT_LISTEN=:8080,:8443; "}},

		{"a lost endpoint", func(f *Facts) { f.Endpoints[0].Held = false }, []string{"endpoint web (tcp://[::]:8080): no process of generation 2 holds its socket: " + Lost, "let it bind the port itself"}},
		{"a lost endpoint, none to bind", func(f *Facts) { f.Endpoints[0].Held, f.Endpoints[0].Binds, f.Ready, f.Age = false, false, false, 1 }, []string{"endpoint web", "or by exec"}},
		{"it may bind yet", func(f *Facts) { f.Endpoints[0].Held, f.Ready, f.Age = false, false, time.Second }, nil},
		{"it has not bound", func(f *Facts) { f.Endpoints[0].Held, f.Ready, f.Age = false, false, 11*time.Second }, []string{"endpoint web"}},
		{"a wrapper has it", func(f *Facts) { f.Endpoints[0].Held, f.Endpoints[0].By = false, "sh (pid 7)" }, []string{"only sh (pid 7) holds its socket"}},
		{"a wrapper that may yet become the server", func(f *Facts) {
			f.Endpoints[0].Held, f.Endpoints[0].By, f.Ready, f.Age = false, "sh (pid 7)", false, 20*time.Second
		}, nil},
		{"why it could not bind", func(f *Facts) { f.Endpoints[0].Held, f.Blind = false, "seccomp: no" }, []string{"swapinit cannot answer bind() of the server: seccomp: no"}},
		{"nobody accepts", func(f *Facts) { f.Endpoints[0].Waiting = 3 }, []string{"3 connections wait there, and none is accepted"}},
		{"nobody accepts yet", func(f *Facts) { f.Endpoints[0].Waiting, f.Ready, f.Age = 3, false, time.Second }, nil},
		{"strangers", func(f *Facts) { f.Strangers = []Stranger{{"web", 2}} }, []string{"endpoint web: somebody listens on its address too, with 2 sockets"}},

		{"a wrapper", wrapped, []string{"LISTEN_PID: it is 7, that is sh, which has started gunicorn (pid 9) as its child", "exec"}},
		{"a wrapper whose child serves", func(f *Facts) { wrapped(f); f.Unused = false; f.Mains[0].Handled = term }, nil},
		{"a wrapper whose child was adopted", func(f *Facts) { wrapped(f); f.Adopted = true; f.Mains[0].Handled = term }, nil},
		{"a wrapper whose child polls", func(f *Facts) { wrapped(f); f.Elsewhere = false; f.Mains[0].Handled = term }, nil},
		{"a wrapper that set it anew", func(f *Facts) { wrapped(f); f.ListenPid = 9; f.Mains[0].Handled = term }, nil},
		{"a forking server", func(f *Facts) { wrapped(f); f.Mains = []Process{{Pid: 7, Exe: "python3.11", Args: child.Args}} }, nil},
		{"a shell that ends at once", func(f *Facts) { wrapped(f); f.Unused = false }, []string{"sh (pid 7): it has the server, gunicorn (pid 9), as its child, and ends at TERM", "SWAPINIT_LEFTOVER_TIMEOUT=5s"}},
		{"a script that prepares the start", func(f *Facts) { wrapped(f); f.Ready, f.Age = false, 20*time.Second }, nil},
		{"the group is told", func(f *Facts) { wrapped(f); f.Unused, f.KillGroup = false, true }, nil},
		{"tini passes it on", func(f *Facts) { wrapped(f); f.Unused = false; f.Mains[0].Args = []string{"tini", "--"} }, nil},

		{"an adoption that cannot be", func(f *Facts) { f.Adopts, f.Ports = "EBUSY", []int{80} }, []string{"SWAPINIT_ADOPT: " + NoAnswer + "EBUSY; " + TakeIt}},
		{"an address of its own", func(f *Facts) { f.Alone = []Passed{{Address: "udp://[::]:443", Why: "UDP is not adopted"}} }, []string{"udp://[::]:443: generation 2 has udp://[::]:443 for itself", StopsFirst}},
		{"an address of its own, joined", func(f *Facts) {
			f.Alone, f.Joined = []Passed{{Address: "tcp://0.0.0.0:80", Why: "it is no endpoint", Set: OfTheGate([]int{8080, 8443})}}, true
		}, []string{"already in use: it is no endpoint; let the server open one of the gate's ports (8080, 8443), or name it in the gate's SWAPINIT_LISTEN"}},
		{"an address of its own, replaced", func(f *Facts) {
			f.Alone, f.StopFirst, f.Beside = []Passed{{Address: "udp://[::]:443", Why: "UDP is not adopted"}}, true, false
		}, nil},
		{"ports", func(f *Facts) { f.Ports, f.Endpoints = []int{80, 443}, nil }, []string{"port 80, 443: generation 2 listens there itself", "; SWAPINIT_LISTEN=:80,:443 ("}},
		{"ports beside endpoints", func(f *Facts) { f.Ports = []int{443} }, []string{"; add it: SWAPINIT_LISTEN=:443 ("}},
		{"ports, joined", func(f *Facts) { f.Ports, f.Joined = []int{443}, true }, []string{"the gate's SWAPINIT_LISTEN"}},
		{"ports, handed over", func(f *Facts) { f.Ports, f.Beside = []int{443}, false }, nil},
		{"ports that cannot be adopted", func(f *Facts) { f.Ports, f.Blind = []int{443}, "EBUSY" }, []string{"LISTEN_FDS (fd 3) there"}},
		{"nothing is steered", func(f *Facts) { f.Unsteered = "SWAPINIT_STEER=off" }, []string{Unsteered + "SWAPINIT_STEER=off"}},

		{"the signal is ignored", func(f *Facts) { f.Mains[0].Ignored = term }, []string{"the stop signal TERM: server (pid 7) ignores it: it would get KILL after SWAPINIT_RETIRE_TIMEOUT=30s; set SWAPINIT_STOP_SIGNAL to"}},
		{"the signal is ignored, no limit", func(f *Facts) { f.Mains[0].Ignored, f.RetireTimeout = term, 0 }, []string{"it would never end"}},
		{"another is ignored", func(f *Facts) { f.Mains[0].Ignored = ^uint64(term) }, nil},
		{"it is ignored, but the group is told", func(f *Facts) { f.Mains[0].Ignored, f.KillGroup = term, true }, nil},
		{"nginx", func(f *Facts) {
			f.Mains[0] = Process{Pid: 7, Exe: "nginx", Args: []string{"nginx: master process nginx"}}
		}, []string{"nginx (pid 7) ends gracefully at QUIT", "set SWAPINIT_STOP_SIGNAL=QUIT"}},
		{"nginx, told rightly", func(f *Facts) { f.Mains[0].Exe, f.Signal, f.Number = "nginx", "QUIT", 3 }, nil},
		{"postgres by INT", func(f *Facts) { f.Mains[0].Exe, f.Signal, f.Number = "postgres", "INT", 2 }, nil},
		{"the first of many", func(f *Facts) { f.Mains = []Process{{Exe: "nginx"}, {Exe: "nginx"}} }, []string{"nginx"}},
		{"uwsgi", func(f *Facts) {
			f.Mains[0] = Process{Exe: "uwsgi", Args: []string{"uwsgi", "--ini", "a.ini"}, Config: " [uwsgi]"}
		}, []string{"reloads itself", "unix_signal:15"}},
		{"uwsgi, told otherwise", func(f *Facts) {
			f.Mains[0] = Process{Exe: "uwsgi-core", Args: []string{"uwsgi", "--die-on-term"}, Config: " "}
		}, nil},
		{"uwsgi, in its file", func(f *Facts) {
			f.Mains[0] = Process{Exe: "uwsgi", Config: "hook-master-start = unix_signal:15 gracefully_kill_them_all"}
		}, nil},
		{"uwsgi, with sockets twice", func(f *Facts) {
			f.Mains[0], f.ListenPid, f.Adopted = Process{Pid: 7, Exe: "uwsgi-core"}, 7, true
		}, []string{"LISTEN_FDS: uwsgi-core (pid 7) takes the sockets there", `SWAPINIT_EXPORT=""`}},
		{"uwsgi, with those alone", func(f *Facts) { f.Mains[0], f.ListenPid, f.Adopted = Process{Pid: 7, Exe: "uwsgi-core"}, 7, false }, nil},
		{"uwsgi, without them", func(f *Facts) { f.Mains[0], f.ListenPid, f.Adopted = Process{Pid: 7, Exe: "uwsgi-core"}, 0, true }, nil},
		{"another server, with sockets twice", func(f *Facts) { f.Mains[0].Exe, f.ListenPid, f.Adopted = "server", 7, true }, nil},
		{"uwsgi, that cannot be read", func(f *Facts) { f.Mains[0] = Process{Exe: "uwsgi"} }, nil},

		{"memory", func(f *Facts) { f.Memory.Used = 71 << 20 }, []string{"the memory limit: it is 100 MiB, of which 71 MiB are in use (page cache not counted), 30 MiB by generation 2", "above 101 MiB; " + OneRoom}},
		{"memory, and both are kept", func(f *Facts) { f.Memory.Used, f.Keep = 71<<20, time.Minute }, []string{"SWAPINIT_KEEP=1m0s keeps both"}},
		{"memory for just two", func(f *Facts) { f.Memory.Used = 70 << 20 }, nil},
		{"memory, in batches", func(f *Facts) { f.Memory.Used, f.Memory.Batch = 71<<20, 10<<20 }, nil},
		{"memory, replaced", func(f *Facts) { f.Memory.Used, f.StopFirst = 71<<20, true }, nil},
		{"memory that cannot be seen", func(f *Facts) { f.Memory = Room{Limit: 1, Used: 2} }, nil},
		{"tasks", func(f *Facts) { f.Tasks.Used = 95 }, []string{"the limit of processes: it is 100 (threads count), of which 95 are in use, 10 by generation 2", "above 105"}},

		{"a drain without end", func(f *Facts) { f.Endless, f.Oldest = 2, "a, b" }, []string{"SWAPINIT_DRAIN_TIMEOUT=0: a predecessor waits without a limit until its connections are idle, and 2 are not, and stay so (the oldest: a, b)"}},
		{"one that drains", func(f *Facts) { f.Leaving = []Leaving{{Generation: 1, For: time.Minute, Waits: 1}} }, []string{"generation 1: it drains for 1m0s and waits without a limit (SWAPINIT_DRAIN_TIMEOUT=0) for 1 connection; "}},
		{"one that drains since a moment", func(f *Facts) { f.Leaving = []Leaving{{Generation: 1, For: time.Second, Waits: 1}} }, nil},
		{"one that has nothing to wait for", func(f *Facts) { f.Leaving = []Leaving{{Generation: 1, For: time.Minute}} }, nil},
		{"one that does not end", func(f *Facts) { f.Leaving = []Leaving{{Generation: 1, For: time.Minute, Stopping: true}} }, []string{"generation 1: it was told to stop 1m0s ago and does not end"}},
		{"too many", func(f *Facts) { f.Generations = 3 }, []string{"SWAPINIT_MAX_GENERATIONS: it is 3"}},
		{"too many, in mid-swap", func(f *Facts) { f.Generations, f.Most = 3, 0 }, nil},

		{"the next start", func(f *Facts) { f.Next = []string{`cannot use SWAPINIT_DIR="/x": gone`} }, []string{`the next start: cannot use SWAPINIT_DIR="/x": gone; `}},
		{"the hook after it", func(f *Facts) { f.After = []string{`cannot find command "x"`} }, []string{`SWAPINIT_POST_SWAP: cannot find command "x"; a swap would succeed, and the hook not run`}},
		{"the gate is away", func(f *Facts) { f.GateAway = "/gate/gate.sock" }, []string{"the gate at /gate/gate.sock: it cannot be reached, and " + NoSwap}},
		{"retired", func(f *Facts) { *f = Facts{Joined: true} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.set(f)
			all := f.Problems()
			if len(all) != min(len(c.want), 1) {
				t.Fatalf("found %d: %+v", len(all), all)
			}
			for _, words := range c.want {
				if line := all[0].What + ": " + all[0].Why + "; " + all[0].Set; !strings.Contains(line, words) {
					t.Errorf("%q is not in %q", words, line)
				}
			}
			for _, p := range all {
				if p.What == "" || p.Why == "" || p.Set == "" || strings.ContainsAny(p.What+p.Why+p.Set, "\n") || strings.HasSuffix(p.Set, ".") {
					t.Errorf("%+v: want what, why and what to set", p)
				}
			}
		})
	}
}

// Who is known by name, and who only looks so.
func TestKnown(t *testing.T) {
	for _, c := range []struct {
		exe, line, want string
	}{
		{"nginx", "nginx: master process nginx -g daemon off;", "nginx"},
		{"", "nginx: master process", "nginx"},
		{"php-fpm8.2", "php-fpm: master process (/etc/php-fpm.conf)", "php-fpm"},
		{"python3.11", "/usr/bin/python3 /usr/bin/gunicorn app:app", "gunicorn"},
		{"python3.11", "gunicorn: master [app]", "gunicorn"},
		{"python3.11", "python3 -m uvicorn app:app", "uvicorn"},
		{"python3.11", "python3 -m http.server", ""},
		{"python3.11", "python3", ""},
		{"ruby3.1", "puma 5.6.5 (tcp://0.0.0.0:8080) [app]", "puma"},
		{"ruby3.1", "unicorn master --port 8080", "unicorn"},
		{"apache2", "apache2 -D FOREGROUND", "apache2"},
		{"httpd", "httpd -DFOREGROUND", "httpd"},
		{"busybox", "httpd -f", ""},
		{"nginx-exporter", "nginx-exporter", ""},
		{"cat", "cat /etc/nginx", ""},
		{"node", "node /srv/nginx", ""},
		{"", "", ""},
	} {
		var args []string
		for word := range strings.FieldsSeq(c.line) {
			args = append(args, word)
		}
		if strings.Contains(c.line, " master") || strings.Contains(c.line, "puma ") { // a title is one word
			args = []string{c.line}
		}
		p := Process{Exe: c.exe, Args: args}
		got := ""
		if s := p.known(); s != nil {
			got = s.name
		}
		if got != c.want {
			t.Errorf("%q %q: %q, want %q", c.exe, c.line, got, c.want)
		}
	}
}

func TestWraps(t *testing.T) {
	for line, want := range map[string]bool{"/bin/sh": true, "-bash": true, "npm start": true, "tini": true, "node": false, "shark": false, "": false} {
		if p := (&Process{Args: []string{line}}); p.Wraps() != want {
			t.Errorf("%q: %v, want %v", line, p.Wraps(), want)
		}
	}
	if (&Process{}).Wraps() {
		t.Error("what is not known wraps")
	}
}
