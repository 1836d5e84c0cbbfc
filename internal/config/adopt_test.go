package config

import "testing"

func TestAdopt(t *testing.T) {
	for _, c := range []struct {
		value Adopt
		port  uint16
		want  bool
	}{
		{"auto", 80, false}, {"off", 80, false}, {"", 80, false}, {"on", 80, true}, {"on", 0, true},
		{"80", 80, true}, {"80", 8080, false}, {"80,8443 9000", 8443, true}, {"80,8443 9000", 9000, true},
		{"80,8443 9000", 0, false}, {"80,x", 80, false},
	} {
		if got := c.value.Has(c.port); got != c.want {
			t.Errorf("%q has port %d: %v", c.value, c.port, got)
		}
	}
}
