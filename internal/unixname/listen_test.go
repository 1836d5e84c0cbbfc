package unixname

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListen(t *testing.T) {
	dir := t.TempDir()
	for address, mode := range map[string]uint32{dir + "/a": 0o600, dir + "/b": 0o666, "@swapinit-test-unixname-" + strconv.Itoa(os.Getpid()): 0} {
		fd, made, err := Listen(address, mode, 5)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(address); address[0] == '/' && (err != nil || st.Mode() != os.ModeSocket|os.FileMode(mode)) {
			t.Errorf("%s: %v, %v", address, st, err)
		}
		if cred, err := Listener(address); err != nil || int(cred.Pid) != os.Getpid() {
			t.Errorf("%s: %+v, %v", address, cred, err)
		}
		if _, _, err := Listen(address, mode, 5); err != unix.EADDRINUSE {
			t.Errorf("%s: a second one: %v", address, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %d, %v", flags, err)
		}
		made.Remove()
		if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", address, err)
		}
		unix.Close(fd)
	}
	if _, _, err := Listen("/"+strings.Repeat("x", MaxPath), 0, 5); err == nil || !strings.Contains(err.Error(), "108 bytes are too many, accepted are up to 107") {
		t.Errorf("a long path: %v", err)
	}
	if _, err := Listener(dir + "/a"); err != unix.ENOENT {
		t.Errorf("nobody: %v", err)
	}
}

// What somebody puts in the place of the socket gets no other mode.
func TestSetMode(t *testing.T) {
	dir := t.TempDir()
	secret, link := dir+"/secret", dir+"/link"
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, link} {
		if _, err := setMode(path, 0o666); err != ErrNotSocket {
			t.Errorf("%s: %v", path, err)
		}
	}
	if st, err := os.Stat(secret); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}
