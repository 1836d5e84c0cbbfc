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

// container is another swapinit, whose verbs find it at an address of its own.
type container struct {
	name string
	cmd  *exec.Cmd
}

// begin starts one, with settings. spaces goes to the clone.
func begin(name string, spaces *syscall.SysProcAttr, env ...string) (*container, error) {
	c := &container{name, exec.Command("/swapinit", "/bin/sleep", "1000000")}
	c.cmd.Env = append([]string{"SWAPINIT_CONTROL=/tmp/" + name}, env...)
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, os.Stdout
	c.cmd.SysProcAttr = spaces
	return c, c.cmd.Start()
}

// status is what `status --json` prints, as soon as it does.
func (c *container) status() (text string, err error) {
	waited := until("swapinit status", func() bool {
		verb := exec.Command("/swapinit", "status", "--json")
		verb.Env = []string{"SWAPINIT_CONTROL=/tmp/" + c.name}
		var out []byte
		out, err = verb.CombinedOutput()
		text = string(out)
		return err == nil
	})
	if waited != nil {
		return "", fmt.Errorf("%w: %v: %s", waited, err, text)
	}
	return text, nil
}

func (c *container) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.cmd.Wait()
}

// counts: connections can be counted, or not where the kernel does not have inet_diag. It
// is steered in either case (but `require` asks for both).
func counts(want bool) error {
	c, err := begin("counts", nil, "SWAPINIT_LISTEN=web=tcp://:8099")
	if err != nil {
		return err
	}
	defer c.end()
	status, err := c.status()
	switch {
	case err != nil:
		return err
	case !strings.Contains(status, `"steered":true,`):
		return fmt.Errorf("not steered: %s", status)
	case strings.Contains(status, "cannot be counted") == want:
		return fmt.Errorf("status: %s", status)
	}
	return nil
}

// limited: the quota of a cgroup of version 2 decides how many workers `auto` is. The machine
// has two CPUs.
func limited() error {
	const root, dir = "/sys/fs/cgroup/", "/sys/fs/cgroup/limited"
	if err := os.WriteFile(root+"cgroup.subtree_control", []byte("+cpu"), 0); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, tc := range []struct {
		quota   string
		workers int
	}{{"max 100000", 2}, {"100000 100000", 1}} {
		if err := os.WriteFile(dir+"/cpu.max", []byte(tc.quota), 0); err != nil {
			return err
		}
		if err := workers(dir, tc.workers); err != nil {
			return fmt.Errorf("cpu.max %s: %w", tc.quota, err)
		}
	}
	return os.Remove(dir)
}

// workers: in the cgroup dir there are so many.
func workers(dir string, want int) error {
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	c, err := begin("limited", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}, "SWAPINIT_WORKERS=auto")
	if err != nil {
		return err
	}
	defer c.end()
	status, err := c.status()
	if got := strings.Count(status, `"worker":`); err == nil && got != want {
		err = fmt.Errorf("%d workers, want %d: %s", got, want, status)
	}
	return err
}
