package pid1

import (
	"os"
	"testing"
)

func TestBridged(t *testing.T) {
	type links map[string][2]string // ifindex and iflink
	lo, veth, tunnel := [2]string{"1", "1"}, [2]string{"2", "13"}, [2]string{"3", "0"}
	for _, c := range []struct {
		name string
		has  links
		want bool
	}{
		{"a bridge network", links{"lo": lo, "eth0": veth}, true},
		{"two of them", links{"lo": lo, "eth0": veth, "eth1": {"4", "15"}}, true},
		{"tunnels of the kernel's", links{"lo": lo, "eth0": veth, "tunl0": tunnel, "sit0": tunnel}, true},
		{"no network", links{"lo": lo}, false},
		{"no network, tunnels", links{"lo": lo, "tunl0": tunnel}, false},
		{"the host", links{"lo": lo, "eth0": {"2", "2"}, "docker0": {"5", "5"}, "veth12ab": {"7", "6"}}, false},
		{"a host that is a container", links{"lo": lo, "eth0": veth, "docker0": {"5", "5"}}, false},
		{"one that cannot be read", links{"lo": lo, "eth0": {"", ""}}, false},
	} {
		dir := t.TempDir()
		for name, link := range c.has {
			if err := os.Mkdir(dir+"/"+name, 0o755); err != nil {
				t.Fatal(err)
			}
			for k, file := range []string{"/ifindex", "/iflink"} {
				if link[k] == "" {
					continue
				}
				if err := os.WriteFile(dir+"/"+name+file, []byte(link[k]+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := bridged(dir); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if bridged(t.TempDir() + "/none") {
		t.Error("nothing can be read")
	}
}
