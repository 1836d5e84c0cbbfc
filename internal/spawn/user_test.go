package spawn

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const (
	testPasswd = `root:x:0:0:root:/root:/bin/sh
# a comment
www:x:33:33:www-data:/var/www:/usr/sbin/nologin
:x:50:50::/:
bad:x:minus:0::/:
short:x:60
huge:x:4294967295:1::/:
app:x:1000:1001:App,,,:/home/app:/bin/sh
app:x:2000:2001:second:/:/bin/sh
tiny:x:70:71`
	testGroup = `root:x:0:
adm:x:4:app,www
www:x:33:
bad:x:x:app
short:x:5
app:x:1001:app
docker:x:999:www,app
dup:x:999:app
prefix:x:998:apps,xapp`
)

func TestLookupUser(t *testing.T) {
	for in, want := range map[string]User{
		"root":      {Name: "root", Groups: []uint32{0}, gidImplied: true},
		"app":       {Uid: 1000, Gid: 1001, Name: "app", Groups: []uint32{1001, 4, 999}, gidImplied: true},
		"www":       {Uid: 33, Gid: 33, Name: "www", Groups: []uint32{33, 4, 999}, gidImplied: true},
		"tiny":      {Uid: 70, Gid: 71, Name: "tiny", Groups: []uint32{71}, gidImplied: true},
		"1000":      {Uid: 1000, Gid: 1001, Name: "app", gidImplied: true},
		"1000:5":    {Uid: 1000, Gid: 5, Name: "app"},
		"app:adm":   {Uid: 1000, Gid: 4, Name: "app"},
		"app:7":     {Uid: 1000, Gid: 7, Name: "app"},
		"77777:adm": {Uid: 77777, Gid: 4},
		"77777":     {Uid: 77777, gidImplied: true},
		"4294967294:4294967294": {
			Uid: 4294967294, Gid: 4294967294,
		},
	} {
		got, err := lookupUser(in, testPasswd, testGroup)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, text := range map[string]string{
		"": "malformed", ":": "malformed", ":5": "malformed", "5:": "malformed",
		"nobody-here": "not in /etc/passwd", "bad": "not in /etc/passwd", "short": "not in /etc/passwd", "huge": "not in /etc/passwd",
		"app:none": "not in /etc/group", "app:bad": "not in /etc/group", "app:adm:x": "not in /etc/group",
		"4294967295": "0 to 4294967294", "5:4294967295": "0 to 4294967294", "99999999999999999999": "0 to 4294967294", "-1": "not in /etc/passwd", "+1": "not in /etc/passwd",
	} {
		if got, err := lookupUser(in, testPasswd, testGroup); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %+v, %v; want an error with %q", in, got, err, text)
		}
	}
	// A uid that is not listed but ours: the gid is ours too.
	own, err := lookupUser(strconv.Itoa(os.Getuid()), "", "")
	if err != nil || own.Gid != uint32(os.Getgid()) || !own.isUs() {
		t.Errorf("our own uid: %+v, %v", own, err)
	}
}

// The real files, with id(1) as the oracle.
func TestLookupUserReal(t *testing.T) {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip("no /etc/passwd: ", err)
	}
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, ":")
		u, err := LookupUser(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for flag, want := range map[string]uint32{"-u": u.Uid, "-g": u.Gid} {
			if out, err := exec.Command("id", flag, name).Output(); err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(int(want)) {
				t.Errorf("id %s %s says %q, %v; we %d", flag, name, out, err, want)
			}
		}
		out, err := exec.Command("id", "-G", name).Output()
		var ours []string
		for _, gid := range u.Groups {
			ours = append(ours, strconv.Itoa(int(gid)))
		}
		if err != nil || strings.Join(strings.Fields(string(out)), " ") != strings.Join(ours, " ") {
			t.Errorf("id -G %s says %q, %v; we %v", name, out, err, ours)
		}
	}
}

func FuzzLookupUser(f *testing.F) {
	for _, s := range []string{"app", "1000:adm", "www:33", ":", "4294967295", "\n"} {
		f.Add(s, testPasswd, testGroup)
	}
	f.Add("a", "a:::", "::::")
	f.Fuzz(func(t *testing.T, s, passwd, group string) {
		u, err := lookupUser(s, passwd, group)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("%q is more than one line", err)
			}
			return
		}
		if u.Uid == 1<<32-1 || u.Gid == 1<<32-1 {
			t.Fatalf("%q is %+v, which setuid would take for no change", s, u)
		}
	})
}

func TestForkUser(t *testing.T) {
	needRoot(t)
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		for _, c := range []struct {
			user *User
			want string
		}{
			{&User{Uid: stranger, Gid: 61235, Groups: []uint32{5, 61236}}, "61234 61234 61234 61234|61235 61235 61235 61235|5 61236|0000000000000000|/root-home\n"},
			{&User{Uid: stranger, Gid: 61235}, "61234 61234 61234 61234|61235 61235 61235 61235||0000000000000000|/root-home\n"},
		} {
			s := sh(`f() { grep "^$1:" /proc/$$/status | cut -f2- | xargs echo -n; }; echo "$(f Uid)|$(f Gid)|$(f Groups)|$(f CapEff)|$HOME"`)
			s.Env = append(s.Env, "HOME=/root-home")
			s.User = c.user
			if out := mustRun(t, through(s)); out != c.want {
				t.Errorf("%+v: %q, want %q", c.user, out, c.want)
			}
		}
	})
}

// Without CAP_SETGID, the user that we already are changes nothing and is fine;
// anybody else is refused.
func TestForkOwnUser(t *testing.T) {
	needRoot(t)
	out := mustRun(t, Spec{
		Path: "/proc/self/exe", Tty: -1, Env: []string{"SPAWN_TEST=unprivileged", "PATH=" + defaultPath, "GORACE=atexit_sleep_ms=0"},
		User: &User{Uid: stranger, Gid: stranger, Groups: []uint32{7}},
	})
	refused := func(label string) string {
		return label + `: operation not permitted: that takes CAP_SETUID and CAP_SETGID`
	}
	want := strings.Join([]string{
		"61234 7", "61234 7", "61234:61234 7", "61234:61234 7", "listed 7", "listed 7",
		refused(`61234:1 cannot become user "61234"`), refused(`61234:1 cannot become user "61234"`),
		refused(`1 cannot become user "` + nameOf(t, "1") + `"`), refused(`1 cannot become user "` + nameOf(t, "1") + `"`),
	}, "\n") + "\n"
	if out != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
}

func nameOf(t *testing.T, uid string) string {
	u, err := LookupUser(uid)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// The stage is executed by the child's user: a binary that it can not execute
// is told as such. Without the stage it does not matter.
func TestStageNotExecutable(t *testing.T) {
	needRoot(t)
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "private"), string(data), 0o700)
	c := exec.Command(path, "stage", "/bin/true")
	c.Env = append(os.Environ(), "SPAWN_TEST=launch", "SPAWN_TEST_USER=61234", "GORACE=atexit_sleep_ms=0")
	out, err := output(c)
	if c.ProcessState.ExitCode() != 98 || !strings.Contains(out, `cannot become user "61234": permission denied to execute swapinit itself`) {
		t.Errorf("%v: %q", err, out)
	}
	c = exec.Command(path, "direct", "/bin/true")
	c.Env = append(os.Environ(), "SPAWN_TEST=launch", "SPAWN_TEST_USER=61234", "GORACE=atexit_sleep_ms=0")
	if out, err := output(c); err != nil {
		t.Errorf("without the stage: %v: %q", err, out)
	}
}
