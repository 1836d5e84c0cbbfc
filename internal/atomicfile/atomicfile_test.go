package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const stranger = 65534

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantOnly looks at the names in dir.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("in the directory: %q, want %q", got, names)
	}
}

func wantText(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/target"
	for _, text := range []string{"first\n", "second, and longer\n", "3\n"} {
		must(t, Write(name, []byte(text)))
		wantText(t, name, text)
	}
	wantOnly(t, dir, "target")
	t.Chdir(dir)
	must(t, Write("relative", []byte("4")))
	wantText(t, name[:len(dir)]+"/relative", "4")
}

// A failure leaves what was there, and nothing else.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/target", 0o700))
	if Write(dir+"/target", []byte("x")) == nil {
		t.Error("a directory was replaced")
	}
	wantOnly(t, dir, "target")
	if err := Write(dir+"/missing/target", []byte("x")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no directory: %v", err)
	}
}

// What others have put where an older version wrote first is neither opened nor
// used: a FIFO would be waited for, a file has an owner who can change it later.
func TestOldTemporaryName(t *testing.T) {
	for what, put := range map[string]func(name string) error{
		"fifo":    func(name string) error { return syscall.Mkfifo(name, 0o666) },
		"symlink": func(name string) error { return os.Symlink("/dev/full", name) },
		"file": func(name string) error {
			return errors.Join(os.WriteFile(name, []byte("theirs"), 0o666), chown(name))
		},
	} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o777|os.ModeSticky), put(dir+"/.target.swapinit"))
		must(t, Write(dir+"/target", []byte("ours")))
		wantText(t, dir+"/target", "ours")
		wantOnly(t, dir, ".target.swapinit", "target")
		var st syscall.Stat_t
		must(t, syscall.Lstat(dir+"/target", &st))
		if int(st.Uid) != os.Geteuid() || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			t.Errorf("%s: the target file is uid %d's, mode %o", what, st.Uid, st.Mode)
		}
	}
}

// chown gives a name to a stranger, if we may.
func chown(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(name, stranger, stranger)
}

// Links stay, and what is behind them is written, beside the file that it is.
func TestWriteThroughLinks(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/volume/deep", 0o755), os.WriteFile(dir+"/volume/real", []byte("old"), 0o600),
		os.Symlink("volume/real", dir+"/one"), os.Symlink(dir+"/one", dir+"/two"),
		os.Symlink("volume/absent", dir+"/dangling"),
		// Its .. is that of the directory behind it.
		os.Symlink("volume/deep", dir+"/away"), os.Symlink("away/../up", dir+"/three"))
	for link, file := range map[string]string{"two": "real", "dangling": "absent", "three": "up"} {
		must(t, Write(dir+"/"+link, []byte(link)))
		wantText(t, dir+"/volume/"+file, link)
		if info, err := os.Lstat(dir + "/" + link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v", link, err)
		}
	}
	wantOnly(t, dir+"/volume", "absent", "deep", "real", "up")
	must(t, os.Symlink("circle", dir+"/circle"))
	if err := Write(dir+"/circle", nil); err != syscall.ELOOP {
		t.Errorf("a circle: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/file", []byte("12345"), 0o644), os.Symlink("file", dir+"/link"), syscall.Mkfifo(dir+"/fifo", 0o600), os.Symlink("absent", dir+"/dangling"))
	for _, c := range []struct {
		name string
		most int64
		want string
	}{
		{"file", 5, ""}, {"link", 6, ""}, {"file", 4, "5 bytes"}, {"fifo", 5, "not a regular file"}, {".", 5, "not a regular file"},
		{"absent", 5, "no such file"}, {"dangling", 5, "no such file"}, {"file/below", 5, "not a directory"},
	} {
		got, err := Read(dir+"/"+c.name, c.most)
		if c.want == "" && (string(got) != "12345" || err != nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := Read(dir+"/dangling", 5); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("dangling: %v", err)
	}
}

func TestReadTheirs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can give files away")
		return
	}
	sticky, plain := t.TempDir(), t.TempDir()
	must(t, os.Chmod(sticky, 0o777|os.ModeSticky), os.Chmod(plain, 0o777))
	for _, dir := range []string{sticky, plain} {
		must(t, os.WriteFile(dir+"/ours", nil, 0o644), os.WriteFile(dir+"/theirs", nil, 0o644), chown(dir+"/theirs"),
			os.Symlink("ours", dir+"/link"), chown(dir+"/link"), os.Symlink("theirs", dir+"/to theirs"))
		for name, good := range map[string]bool{"ours": true, "theirs": dir == plain, "link": dir == plain, "to theirs": dir == plain} {
			if _, err := Read(dir+"/"+name, 0); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "belongs to uid 65534") {
				t.Errorf("%s/%s: %v", dir, name, err)
			}
		}
	}
	// It is not written through either, nor is theirs a reason not to write ours.
	if Write(sticky+"/link", []byte("x")) == nil {
		t.Error("a stranger's link was followed")
	}
	wantText(t, sticky+"/ours", "")
	must(t, Write(sticky+"/theirs", []byte("x")))
	if text, err := Read(sticky+"/theirs", 1); string(text) != "x" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	// Who owns the directory can do in there whatever they want.
	must(t, os.Lchown(sticky, stranger, stranger), os.WriteFile(sticky+"/theirs", nil, 0o644), chown(sticky+"/theirs"))
	if _, err := Read(sticky+"/theirs", 1); err != nil {
		t.Error(err)
	}
}

// In a mount namespace of its own: a file that is a mount cannot be replaced, and
// a full disk leaves what was there.
func TestMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can mount")
		return
	}
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		done <- unix.Unshare(unix.CLONE_NEWNS)
		err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		if err == nil {
			err = unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=755")
		}
		if err == nil {
			err = os.WriteFile(dir+"/target", []byte("old"), 0o644)
		}
		done <- err
		done <- Write(dir+"/target", make([]byte, 128<<10))
		text, err := os.ReadFile(dir + "/target")
		left, _ := filepath.Glob(dir + "/.*")
		if string(text) != "old" || len(left) > 0 {
			err = errors.New("after a full disk: " + string(text) + strings.Join(left, " "))
		}
		done <- err
		done <- unix.Mount(dir+"/target", dir+"/target", "", unix.MS_BIND, "")
		done <- Write(dir+"/target", []byte("new"))
		// Who could mount a stranger's file could have made it ours as well.
		done <- errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), chown(dir+"/target"))
		_, err = Read(dir+"/target", 3)
		done <- err
	}()
	must(t, <-done)
	must(t, <-done)
	if err := <-done; !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a full disk: %v", err)
	}
	must(t, <-done)
	must(t, <-done)
	if err := <-done; !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "mount the directory") {
		t.Errorf("a mount: %v", err)
	}
	must(t, <-done)
	if err := <-done; err != nil {
		t.Errorf("what is mounted: %v", err)
	}
}
