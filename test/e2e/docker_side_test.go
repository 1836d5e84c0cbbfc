//go:build linux

package e2e

import (
	"encoding/json"
	"testing"
)

// php-fpm beside nginx: nginx is swapped under load, php-fpm stays, and no request fails.
func TestZooSide(t *testing.T) {
	t.Parallel()
	s := zooServer{name: "nginx before php-fpm", command: []string{"nginx", "-c", "/zoo/nginx/php.conf", "-g", "daemon off;"}, protocol: "http"}
	n := zooSwaps(t, s, zooOptions{prefix: []string{"/swapinit", "--"}, swaps: 3,
		env: zooEnv("QUIT", "SWAPINIT_STOP_SIGNAL=QUIT", "SWAPINIT_SIDE_PHP=php-fpm8.2 --nodaemonize --fpm-config /zoo/php-fpm.conf --allow-to-run-as-root")})
	n.wantNoFailure(t)
	php := func() sideStatus {
		t.Helper()
		var got status
		if err := json.Unmarshal([]byte(n.c.exec("/swapinit", "status", "--json")), &got); err != nil || len(got.Sides) != 1 {
			t.Fatalf("%v: %+v", err, got)
		}
		return got.Sides[0]
	}
	first := php()
	if first.Name != "php" || first.Pid == 0 || first.Restarts != 0 {
		t.Errorf("after the swaps: %+v", first)
	}
	if r := n.c.try("/swapinit", "restart", "--side", "php"); r.Code != 0 {
		t.Errorf("restart --side: %v", r)
	}
	if again := php(); again.Pid == first.Pid || again.Pid == 0 || again.Restarts != 1 {
		t.Errorf("after its restart: %+v, before %+v", again, first)
	}
	n.c.zooAnswers(s)
	docker(t, "stop", "-t", "60", n.c.id)
	if code := n.c.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}
