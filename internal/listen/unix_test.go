package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

func connects(t *testing.T, name string) bool {
	t.Helper()
	conn, err := net.Dial("unix", name)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func TestOpenUnix(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.sock")
	set := mustOpen(t, "unix://"+name+"?mode=0620")
	info, err := os.Lstat(name)
	if err != nil || info.Mode() != os.ModeSocket|0o620 {
		t.Errorf("%v, %v", info, err)
	}
	if endpoint := set.Endpoints()[0]; endpoint.Address != "unix://"+name || endpoint.Name != "a.sock" {
		t.Errorf("%+v", endpoint)
	}
	// Servers match inherited sockets by this name.
	local, err := unix.Getsockname(int(lent(t, set, 1).Files[0]))
	if err != nil || local.(*unix.SockaddrUnix).Name != name {
		t.Errorf("getsockname: %+v, %v", local, err)
	}
	if !connects(t, name) || !connects(t, spareName(name)) {
		t.Error("does not accept by path and by spare")
	}
	set.Close()
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestOpenUnixUmask(t *testing.T) { runHelper(t, "umask", nil, nil) }

// helperUmask has a process to itself, as the umask belongs to the process.
func helperUmask() error {
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, test := range []struct {
		umask  int
		option string
		want   os.FileMode
	}{
		{0o077, "?mode=0666", 0o666}, {0, "?mode=0600", 0o600}, {0o777, "?mode=0640", 0o640},
		{0o022, "", 0o666}, {0o077, "", 0o666},
	} {
		syscall.Umask(test.umask)
		specs, err := Parse("unix://" + dir + "/s" + test.option)
		if err != nil {
			return err
		}
		set, err := Open(specs, nil, nil)
		if err != nil {
			return err
		}
		info, err := os.Lstat(dir + "/s")
		if err != nil || info.Mode().Perm() != test.want {
			return fmt.Errorf("umask %#o, %q: %v, %v", test.umask, test.option, info, err)
		}
		set.Close()
		// Later generations' too.
		set, p, err := openGroup("unix://" + dir + "/s" + test.option)
		if err == nil {
			err = errors.Join(p.Add(1, false), p.Add(2, false), p.Aim(2, 0, shares.Full, ""))
		}
		if err != nil {
			return err
		}
		info, err = os.Lstat(dir + "/s")
		if _, ok := p.Share(2); err != nil || info.Mode().Perm() != test.want || !ok {
			return fmt.Errorf("umask %#o, %q, generation 2: %v, %v", test.umask, test.option, info, err)
		}
		set.Close()
	}
	return nil
}

// Between bind and listen the mode is never wider than asked for: what the
// kernel makes by itself, before settle, must lie within it.
func TestUnixModeNeverWider(t *testing.T) {
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	name := t.TempDir() + "/s"
	if err := bindNarrow(fd, name, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(name); err != nil || info.Mode().Perm()&^0o600 != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func openError(t *testing.T, list string) error {
	t.Helper()
	specs, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Open(specs, nil, nil)
	if err == nil {
		set.Close()
		t.Fatalf("%s opened", list)
	}
	if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), `"`+list+`"`) {
		t.Errorf("not one line that names the endpoint: %q", err)
	}
	return err
}

func TestOpenUnixStale(t *testing.T) {
	name := t.TempDir() + "/a"
	old, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := os.Link(name, spareName(name)); err != nil {
		t.Fatal(err)
	}
	if err := openError(t, "unix://"+name); !errors.Is(err, unixname.ErrLive) {
		t.Errorf("live: %v", err)
	}
	if !connects(t, name) {
		t.Error("harmed the live one")
	}
	// Its path gone, but not its spare: it is about to come back.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := openError(t, "unix://"+name); !errors.Is(err, unixname.ErrLive) {
		t.Errorf("live by its spare: %v", err)
	}
	if err := os.Link(spareName(name), name); err != nil {
		t.Fatal(err)
	}
	old.Close()
	mustOpen(t, "unix://"+name)
	if !connects(t, name) || !connects(t, spareName(name)) {
		t.Error("does not accept in the stale one's place")
	}
}

func TestOpenUnixRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: dir + "/datagram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	for name, says := range map[string]string{
		"file": "is a regular file, not a socket", "link": "is a symbolic link, not a socket", "datagram": "somebody listens there",
		"none/a": "does not exist", "file/a": "does not exist",
	} {
		if err := openError(t, "unix://"+dir+"/"+name); !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if data, _ := os.ReadFile(dir + "/file"); string(data) != "data" {
		t.Error("harmed the file")
	}
	if os.Geteuid() != 0 {
		if err := os.Mkdir(dir+"/closed", 0o500); err != nil {
			t.Fatal(err)
		}
		if err := openError(t, "unix://"+dir+"/closed/a"); !strings.Contains(err.Error(), "may not do this in") {
			t.Error(err)
		}
	}
}

// Close leaves alone what somebody else has put at the path.
func TestCloseUnlinksOnlyOwn(t *testing.T) {
	name := t.TempDir() + "/a"
	set := mustOpen(t, "unix://"+name)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	set.Close()
	if !connects(t, name) {
		t.Error("unlinked another's path")
	}
	if _, err := os.Lstat(spareName(name)); err == nil {
		t.Error("left its spare")
	}
}
