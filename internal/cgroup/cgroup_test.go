package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryKills(t *testing.T) {
	for _, c := range []struct {
		name, membership, file, text string
		want                         int
	}{
		{"version 2", "0::/a\n", "a/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 1\n", 2},
		{"version 2, path of the host's", "0::/docker/0123\n", "memory.events", "oom_kill 7\n", 7},
		{"version 1", "9:memory:/a\n0::/\n", "memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", 4},
		{"version 1, in a container", "9:cpuset,memory:/docker/0123\n", "memory/memory.oom_control", "under_oom 0\noom_kill 1\n", 1},
		{"version 1, before 4.13", "9:memory:/\n", "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0},
		{"another controller", "9:pids:/\n", "memory/memory.oom_control", "oom_kill 1\n", 0},
		{"nonsense", "0::/\n", "memory.events", "oom_kill x\n", 0},
		{"nothing", "", "memory.events", "oom_kill 1\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"membership": c.membership, c.file: c.text} {
				if err := os.MkdirAll(filepath.Dir(dir+"/"+name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := memoryKills(Folders(dir+"/membership", dir, "memory")); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}
