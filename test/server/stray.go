package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// spawnStray leaves a daemon behind: a process in a session of its own, that
// nobody waits for and that needs some time after TERM. It returns when the
// daemon handles its signals.
func spawnStray(o options, sockets []socket) error {
	up, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer up.Close()
	c := exec.Command("/proc/self/exe", "stray", o.strayStop)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.ExtraFiles = []*os.File{tell}
	if o.strayHolds {
		for _, s := range sockets {
			c.ExtraFiles = append(c.ExtraFiles, s.file)
		}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: !o.straySame}
	err = c.Start()
	_ = tell.Close()
	if err != nil {
		return err
	}
	if n, _ := up.Read(make([]byte, 1)); n != 1 {
		return errors.New("it did not start")
	}
	return nil
}

// stray is the daemon's main: "stray 600ms" or "stray never".
func stray(args []string) {
	if len(args) != 1 {
		fatal("usage: server stray DURATION|never")
	}
	signals := watchSignals()
	say("stray started")
	tell := os.NewFile(3, "parent")
	if _, err := tell.WriteString("."); err == nil {
		_ = tell.Close()
	}
	for sig := range signals {
		name := signalName(sig)
		say("stray got %s", name)
		if name != "TERM" || args[0] == "never" {
			continue
		}
		d, err := time.ParseDuration(args[0])
		if err != nil {
			fatal("%v", err)
		}
		<-time.After(d)
		say("stray done")
		return
	}
}
