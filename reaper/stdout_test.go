package reaper

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fd 1 is the children's, and stays open when nobody but us ever knew its File.
func TestStdoutStaysOpen(t *testing.T) {
	if !isolated(t) {
		return
	}
	duplicate := func() int {
		fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	open := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	ours, garbage := duplicate(), duplicate()
	os.Stdout = os.NewFile(uintptr(ours), "stdout")
	New(Options{})
	os.NewFile(uintptr(garbage), "garbage")
	for end := time.Now().Add(time.Minute); open(garbage); <-time.After(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatal("garbage is not collected")
		}
	}
	runtime.GC()
	if !open(ours) {
		t.Error("stdout was closed")
	}
}
