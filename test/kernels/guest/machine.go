package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is a net against hangs, on a machine that is emulated.
const patience = 5 * time.Minute

// until polls.
func until(what string, cond func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("waited %v for %s", patience, what)
		}
	}
	return nil
}

func fd(number string) uintptr {
	n, err := strconv.Atoi(number)
	if err != nil {
		return ^uintptr(0)
	}
	return uintptr(n)
}

// isInit: process 1 of the machine is swapinit, this is its child, and the verbs find it.
func isInit() error {
	if exe, err := os.Readlink("/proc/1/exe"); err != nil || exe != "/swapinit" {
		return fmt.Errorf("process 1 is %q, %v", exe, err)
	}
	if parent := os.Getppid(); parent != 1 {
		return fmt.Errorf("the parent is %d", parent)
	}
	out, err := exec.Command("/swapinit", "status", "--json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"pid":1,`) {
		return fmt.Errorf("swapinit status: %v: %s", err, out)
	}
	return nil
}

// reaps: an orphan becomes the init's child, and does not stay as a zombie.
func reaps() error {
	gate := "/tmp/gate"
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		return err
	}
	orphan := "(read x <" + gate + "; exit 3) >/dev/null 2>&1 & echo $!"
	out, err := exec.Command("/bin/sh", "-c", orphan).Output()
	if err != nil {
		return err
	}
	dir := "/proc/" + strings.TrimSpace(string(out))
	if err := until("the orphan to be the init's", func() bool {
		return strings.Contains(text(dir+"/status"), "\nPPid:\t1\n")
	}); err != nil {
		return err
	}
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		return err
	}
	return until("the orphan to be reaped", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

// forwards: what the init is sent reaches its child.
func forwards() error {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	defer signal.Stop(got)
	if err := syscall.Kill(1, syscall.SIGUSR1); err != nil {
		return err
	}
	select {
	case <-got:
		return nil
	case <-time.After(patience):
		return errors.New("the signal did not come")
	}
}

// counts: connections can be counted, or not where the kernel does not have inet_diag. It
// is steered in either case (but `require` asks for both).
func counts(want bool) error {
	c := exec.Command("/swapinit", "/bin/sleep", "1000000")
	c.Env = []string{"SWAPINIT_LISTEN=web=tcp://:8099", "SWAPINIT_CONTROL=/tmp/counts"}
	c.Stderr = os.Stdout
	if err := c.Start(); err != nil {
		return err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	}()
	var out []byte
	err := until("swapinit status", func() (done bool) {
		status := exec.Command("/swapinit", "status", "--json")
		status.Env = []string{"SWAPINIT_CONTROL=/tmp/counts"}
		var err error
		out, err = status.CombinedOutput()
		return err == nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s", err, out)
	case !strings.Contains(string(out), `"steered":true,`):
		return fmt.Errorf("not steered: %s", out)
	case strings.Contains(string(out), "cannot be counted") == want:
		return fmt.Errorf("status: %s", out)
	}
	return nil
}
