package listen

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func givenOf(t testing.TB, list string) Given {
	specs, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	g := Given{Stdin: NoFile}
	for i, spec := range specs {
		g.Endpoints = append(g.Endpoints, Endpoint{Spec: spec, Address: spec.address()})
		if spec.Stdin {
			g.Stdin = uintptr(10 + i)
		} else {
			g.Files = append(g.Files, uintptr(10+i))
		}
	}
	return g
}

func TestEnviron(t *testing.T) {
	g := givenOf(t, "java=:9000?fd=0 :8080 local=127.0.0.1:8081 six=tcp6://:8084 four=tcp4://:8082 [::1]:8083 udp://:53 unix:///run/a.sock")
	want := []string{
		"LISTEN_FDS=7", "LISTEN_PID=0", "LISTEN_FDNAMES=8080:local:six:four:8083:53:a.sock",
		"SERVER_STARTER_PORT=9000=0;8080=3;127.0.0.1:8081=4;[::]:8084=5;8082=6;[::1]:8083=7;u53=8;/run/a.sock=9",
		"SERVER_STARTER_GENERATION=4",
		"EINHORN_FD_0=0", "EINHORN_FD_1=3", "EINHORN_FD_2=4", "EINHORN_FD_3=5", "EINHORN_FD_4=6", "EINHORN_FD_5=7", "EINHORN_FD_6=8", "EINHORN_FD_7=9",
		"EINHORN_FD_COUNT=8", "EINHORN_FDS=0 3 4 5 6 7 8 9", "EINHORN_MASTER_PID=1",
	}
	if got := g.Environ([]string{"systemd", "server-starter", "einhorn"}, 4, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := g.Environ([]string{"einhorn"}, 4, 77); !reflect.DeepEqual(got, append(append([]string{}, want[5:15]...), "EINHORN_MASTER_PID=77")) {
		t.Errorf("einhorn alone: %q", got)
	}
	if got := g.Environ(nil, 1, 1); got != nil {
		t.Errorf("no dialects: %q", got)
	}
	if got := givenOf(t, "").Environ([]string{"systemd", "server-starter", "einhorn"}, 1, 1); got != nil {
		t.Errorf("nothing to announce, got %q", got)
	}
	for list, want := range map[string]string{
		"java=:9000?fd=0":           "SERVER_STARTER_PORT=9000=0",
		"udp4://:53":                "SERVER_STARTER_PORT=u53=3",
		"udp://127.0.0.1:53":        "SERVER_STARTER_PORT=127.0.0.1:u53=3",
		"udp6://[::1]:53 t=[::]:53": "SERVER_STARTER_PORT=[::1]:u53=3;53=4",
	} {
		if got := givenOf(t, list).Environ([]string{"systemd", "server-starter"}, 1, 1); !slices.Contains(got, want) || slices.Contains(got, "LISTEN_FDS=0") {
			t.Errorf("%q: got %q, want %s", list, got, want)
		}
	}
}

func TestFD(t *testing.T) {
	g := givenOf(t, "a=:1 b=:2?fd=0 c=:3")
	for name, want := range map[string]int{"a": 3, "b": 0, "c": 4} {
		if got, ok := g.FD(name); !ok || got != want {
			t.Errorf("FD(%s) = %d, %v", name, got, ok)
		}
	}
	if fd, ok := g.FD("d"); ok {
		t.Errorf("FD(d) = %d", fd)
	}
}

func TestScrub(t *testing.T) {
	kept := []string{"PATH=/bin", "LISTEN_ADDR=:80", "LISTEN=1", "WATCHDOG_DIR=/x", "EMPTY=", "odd", "=C:", "MY_LISTEN_FDS=1", "SWAPINITX=1"}
	gone := []string{"LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=a", "LISTEN_PIDFDID=3", "SERVER_STARTER_PORT=a", "SERVER_STARTER_GENERATION=1",
		"EINHORN_FD_0=3", "EINHORN_FD_COUNT=1", "EINHORN_MASTER_PID=1", "EINHORN_SOCK_PATH=/x", "NOTIFY_SOCKET=@a", "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
		"SYSTEMD_EXEC_PID=1", "NODE_CHANNEL_FD=3", "SWAPINIT_GENERATION=1", "SWAPINIT_LISTEN=:80", "LISTEN_FDS"}
	all := append(append([]string{}, gone...), kept...)
	before := strings.Join(all, "\n")
	if got := Scrub(all); !reflect.DeepEqual(got, kept) {
		t.Errorf("got  %q\nwant %q", got, kept)
	}
	if strings.Join(all, "\n") != before {
		t.Error("changed its argument")
	}
}

// What is announced can be read back the way that clients do.
func FuzzEnviron(f *testing.F) {
	f.Add(":8080,unix:///run/a.sock", "systemd,server-starter,einhorn", 1)
	f.Add("java=:9000?fd=0 127.0.0.1:8081", "einhorn", -5)
	f.Add("", "x", 0)
	f.Fuzz(func(t *testing.T, list, dialects string, generation int) {
		specs, err := Parse(list)
		if err != nil {
			return
		}
		g := givenOf(t, list)
		chosen := strings.Split(dialects, ",")
		environ := g.Environ(chosen, generation, 1)
		value := func(name string) string { v, _ := lookup(environ, name); return v }
		var others []Spec
		for _, spec := range specs {
			if !spec.Stdin {
				others = append(others, spec)
			}
		}
		if slices.Contains(chosen, Systemd) && len(others) > 0 {
			count, names, err := announced(append([]string{"LISTEN_PID=9"}, environ...), 9)
			if err != nil || count != len(others) || len(names) != count {
				t.Fatalf("%d %q %v for %d endpoints", count, names, err, len(others))
			}
			for i, spec := range others {
				if fd, ok := g.FD(names[i]); names[i] != spec.Name || !ok || fd != 3+i {
					t.Errorf("name %d is %q, fd %d", i, names[i], fd)
				}
			}
		}
		if ports := value("SERVER_STARTER_PORT"); ports != "" {
			seen := map[string]bool{}
			for _, entry := range strings.Split(ports, ";") {
				key, number, ok := strings.Cut(entry, "=")
				fd, err := strconv.Atoi(number)
				if !ok || key == "" || err != nil || fd < 0 || fd == 1 || fd == 2 || fd >= 3+len(others) || seen[number] {
					t.Errorf("SERVER_STARTER_PORT=%q", ports)
				}
				seen[number] = true
			}
		}
		for _, entry := range environ {
			if strings.ContainsAny(entry, "\n\x00") {
				t.Errorf("entry %q", entry)
			}
		}
		if len(Scrub(environ)) != 0 {
			t.Errorf("not scrubbed: %q", Scrub(environ))
		}
	})
}

// Only the endpoint that is asked for, and only by those who poll it, becomes
// non-blocking: servers that block in accept(2) fail otherwise.
func TestNonblockFD(t *testing.T) {
	dir := t.TempDir()
	specs, err := Parse("unix://" + dir + "/a,unix://" + dir + "/b,unix://" + dir + "/c?fd=0")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Open(specs, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	given := lent(t, set, 1)
	flags := func() (list []bool) {
		for _, fd := range append(given.Files, given.Stdin) {
			n, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, n&unix.O_NONBLOCK != 0)
		}
		return list
	}
	for _, step := range []struct {
		name string
		fd   int
		ok   bool
		want []bool
	}{
		{"none", 0, false, []bool{false, false, false}},
		{"b", 4, true, []bool{false, true, false}},
		{"c", 0, true, []bool{false, true, true}},
	} {
		if fd, ok := given.NonblockFD(step.name); fd != step.fd || ok != step.ok {
			t.Errorf("%s: fd %d, %v", step.name, fd, ok)
		}
		if got := flags(); !slices.Equal(got, step.want) {
			t.Errorf("after %s: non-blocking %v, want %v", step.name, got, step.want)
		}
	}
}
