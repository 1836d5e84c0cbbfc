package pid1

import (
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/swap"
)

// What hangs at the end does not keep the init from its exit.
func TestCloseDoesNotWaitForever(t *testing.T) {
	i := testInit(t)
	path := t.TempDir() + "/socket"
	specs, err := listen.Parse("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	if i.endpoints, err = listen.Open(specs, nil, nil); err != nil {
		t.Fatal(err)
	}
	// Close waits for the guard, which waits for whoever it reports to.
	reported, hang := make(chan struct{}), make(chan struct{})
	report := sync.OnceFunc(func() { close(reported) })
	if err := i.endpoints.Guard(func(string) {
		report()
		<-hang
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	<-reported
	i.close()
	close(hang)
	i.endpoints.Close()
}

// What a generation has done to an endpoint on its way out is repaired when nothing is
// left of it, also where nobody watches (the guard has no inotify, say).
func TestForgetLooksAtTheEndpoints(t *testing.T) {
	i := testInit(t)
	path := t.TempDir() + "/socket"
	specs, err := listen.Parse("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	if i.endpoints, err = listen.Open(specs, nil, nil); err != nil {
		t.Fatal(err)
	}
	defer i.endpoints.Close()
	g := newGeneration(1, 1)
	i.gens.live[1] = g
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	i.forget(g)
	eventually(t, "the path to be back", func() bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

// A stopped server goes on when it is told to end; one that runs is spared CONT,
// for which it may have a handler.
func TestResume(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	dir := t.TempDir()
	w := start(t, i, []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir}, `
		for s in CONT USR1 USR2; do trap "echo > $DIR/$s" $s; done
		echo > $DIR/up; while :; do sleep 0.01; done`)
	seen := func(name string) func() bool {
		return func() bool {
			_, err := os.Stat(dir + "/" + name)
			return err == nil
		}
	}
	eventually(t, "its start", seen("up"))
	resume(w.proc)
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		_ = w.proc.Signal(sig)
		eventually(t, "a signal sent later", seen(map[syscall.Signal]string{syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2"}[sig]))
	}
	if seen("CONT")() {
		t.Error("it got CONT although it was not stopped")
	}
	stop := func() {
		_ = w.proc.Signal(syscall.SIGSTOP)
		eventually(t, "its stop", func() bool {
			p, ok := readProcess(w.pid())
			return ok && p.state == 'T'
		})
	}
	stop()
	resume(w.proc)
	eventually(t, "CONT", seen("CONT"))
	// The machine says for which signals: those of a container that stops.
	i.gens.live[3], w.running = w.g, true
	stop()
	i.perform(&swap.SignalWorker{Generation: 3, Signal: swap.Signal(syscall.SIGTERM), Resume: true})
	eventually(t, "its end", func() bool { return len(w.proc.Exited()) > 0 })
}
