package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

// tree writes files below a folder of their own, and lists the groups of a process in /a/b.
func tree(t *testing.T, membership, controller string, files map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	files["membership"] = membership
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(dir+"/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Folders(dir+"/membership", dir, controller)
}

func TestMemory(t *testing.T) {
	const v2 = "anon 300\nfile 900000\nkernel_stack 5\nshmem 20\ninactive_file 4000\n"
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		limit, used      int64
	}{
		{"version 2", "0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n", "a/b/memory.stat": v2}, 1000, 320},
		{"version 2, unlimited", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/b/memory.stat": v2}, 0, 0},
		{"version 2, the one above is nearer", "0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n", "a/b/memory.stat": v2,
			"a/memory.max": "2000\n", "a/memory.stat": "anon 1900\n"}, 2000, 1900},
		{"version 2, the one above has more room", "0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n", "a/b/memory.stat": v2,
			"a/memory.max": "9000\n", "a/memory.stat": "anon 1900\n"}, 1000, 320},
		{"version 1, in a container", "9:cpuset,memory:/docker/0123\n", map[string]string{"memory/memory.limit_in_bytes": "1000\n",
			"memory/memory.stat": "rss 1\ntotal_cache 99999\ntotal_rss 7\ntotal_shmem 2\n"}, 1000, 9},
		{"version 1, unlimited", "9:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n", "memory/a/memory.stat": "total_rss 7\n"}, 0, 0},
		{"nonsense", "0::/a\n", map[string]string{"a/memory.max": "x\n", "a/memory.stat": "anon\nshmem x\n"}, 0, 0},
		{"nothing", "", map[string]string{}, 0, 0},
	} {
		limit, used := memory(tree(t, c.membership, "memory", c.files))
		if limit != c.limit || used != c.used {
			t.Errorf("%s: %d, %d, want %d, %d", c.name, limit, used, c.limit, c.used)
		}
	}
}

func TestTasks(t *testing.T) {
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		limit, used      int64
	}{
		{"version 2", "0::/a\n", map[string]string{"a/pids.max": "24\n", "a/pids.current": "20\n"}, 24, 20},
		{"version 1", "3:pids:/a\n", map[string]string{"pids/a/pids.max": "24\n", "pids/a/pids.current": "20\n"}, 24, 20},
		{"unlimited", "0::/a\n", map[string]string{"a/pids.max": "max\n", "a/pids.current": "20\n"}, 0, 0},
	} {
		limit, used := tasks(tree(t, c.membership, "pids", c.files))
		if limit != c.limit || used != c.used {
			t.Errorf("%s: %d, %d, want %d, %d", c.name, limit, used, c.limit, c.used)
		}
	}
}
