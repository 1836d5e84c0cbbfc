//go:build linux

package e2e

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/test/load"
)

// cookbookNeed is what the test of a page needs and the page cannot say.
type cookbookNeed struct {
	page     string
	section  string // its title; "" = all that have no entry of their own
	protocol string // of the load, see load.Protocol; "" = http
	slow     string // protocol of what is in flight for longer; "" = http:/slow, "-" = none
	host     string // where the load goes; "" = 127.0.0.1
	port     string // the server's; "" = 8080
	same     bool   // its answers do not tell the generations apart

	env  []string                           // settings besides, in the service web
	also func(t *testing.T, r *cookbookRun) // under load, when it was swapped and all was typed
}

// cookbookNeeds has each page that is tested, in the order of the index.
var cookbookNeeds = []cookbookNeed{
	{page: "nginx"},
	{page: "apache"},
	{page: "php-fpm-nginx"},
	{page: "node"},
	{page: "node-cluster"},
	{page: "gunicorn"},
	{page: "uvicorn"},
	{page: "hypercorn"},
	{page: "uwsgi"},
	{page: "flask"},
	{page: "django"},
	{page: "puma"},
	{page: "unicorn"},
	{page: "rails"},
	{page: "php"},
	{page: "websockets", env: []string{"SWAPINIT_DRAIN_TIMEOUT=20s", "STREAM_SECONDS=3"}, also: cookbookStreams},
	{page: "grpc", protocol: "grpc:/web.Who/Ask", slow: "grpc:/web.Who/Slow", also: cookbookBusy},
	{page: "go"},
	{page: "java"},
	{page: "tomcat"},
	{page: "jetty"},
	{page: "lighttpd", port: "80"},
	{page: "haproxy"},
	{page: "caddy"},
	{page: "varnish"},
	{page: "postgres-redis", section: "PostgreSQL", protocol: "postgres", slow: "-", port: "5432"},
	{page: "postgres-redis", section: "Redis", protocol: "redis", slow: "-", port: "6379", same: true},
	{page: "worker", section: "Side by side", protocol: "redis", slow: "-", host: "queue", port: "6379", same: true, also: cookbookJobs},
	{page: "worker", section: "One at a time", protocol: "redis", slow: "-", host: "queue", port: "6379", same: true, also: cookbookJobsInOrder},
	{page: "cron", also: cookbookSide},
}

// cookbookUntested are the pages, or page#heading, that are marked as untested. Nothing
// else is.
var cookbookUntested = []string{"bun", "deno", "dotnet", "rust", "spring", "traefik-envoy"}

// cookbookSwaps is how often each is swapped.
const cookbookSwaps = 3

// Every page can be read, has an entry above and one in the index; what is marked as
// untested is what is known to be.
func TestCookbookPages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(cookbookDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(cookbookDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var pages, untested []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if name == "README" {
			continue
		}
		pages = append(pages, name)
		if !strings.Contains(string(index), "]("+name+".md)") {
			t.Errorf("README.md has no link to %s.md", name)
		}
		page, err := cookbookRead(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if page.untested {
			untested = append(untested, name)
		} else if !slices.ContainsFunc(cookbookNeeds, func(n cookbookNeed) bool { return n.page == name }) {
			t.Errorf("%s.md is neither tested nor marked as untested", name)
		}
		for _, heading := range page.untried {
			untested = append(untested, name+"#"+heading)
		}
	}
	slices.Sort(untested)
	want := slices.Sorted(slices.Values(cookbookUntested))
	if !slices.Equal(untested, want) {
		t.Errorf("marked as untested: %q, want %q", untested, want)
	}
	for _, need := range cookbookNeeds {
		if !slices.Contains(pages, need.page) {
			t.Errorf("there is no page %s.md", need.page)
		}
	}
}

// A page that promises more than is tested cannot be read.
func TestCookbookReader(t *testing.T) {
	t.Parallel()
	const fence = "```"
	const good = "# Web\n\nText.\n\n## Unmodified\n\n`Dockerfile`:\n\n" + fence + "dockerfile\nFROM x\n" + fence +
		"\n\n`compose.yaml`:\n\n" + fence + "yaml\nservices:\n" + fence +
		"\n\n## Swaps\n\n" + fence + "console\n$ docker compose exec web /swapinit swap\nswap done\n$ docker compose exec web /swapinit swap -- x\nswapinit: swap failed: x\n" + fence +
		"\n\n## What is lost\n\n| | new connections | kept connections |\n|---|---|---|\n| Unmodified | 0 | 0 |\n"
	if page, err := cookbookParse("web", good); err != nil || len(page.sections) != 1 || len(page.sections[0].typed) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	for name, change := range map[string][2]string{
		"a block without a name":    {"`compose.yaml`:", "compose.yaml:"},
		"a name without a block":    {"\n\n## Swaps", "\n\n`site.conf`:\n\n## Swaps"},
		"a file twice":              {"`compose.yaml`:", "`Dockerfile`:"},
		"no compose.yaml":           {"`compose.yaml`:", "`other.yaml`:"},
		"no claim":                  {"| Unmodified |", "| Modified |"},
		"a claim that is no number": {"| 0 | 0 |", "| 0 | few |"},
		"a claim too few":           {"| 0 | 0 |", "| 0 |"},
		"no swap":                   {"swap done\n", ""},
		"no swap that fails":        {"swap failed: ", "swap done: "},
		"an end is missing":         {fence + "\n\n## What is lost", "\n## What is lost"},
		"marked, and has files":     {"Text.", cookbookMark + "why."},
		"a section marked, with it": {"## Unmodified\n", "## Unmodified\n\n" + cookbookMark + "why.\n"},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if page, err := cookbookParse("web", text); err == nil {
			t.Errorf("%s: read as %+v", name, page)
		}
	}
}

// Every page's sections, built and started as they stand there, are swapped under load
// and lose no more than the page says; what it shows to type is typed.
func TestCookbook(t *testing.T) {
	t.Parallel()
	dockerNeed(t)
	t.Cleanup(func() { cookbookClean(t) })
	names := map[string]bool{}
	for _, need := range cookbookNeeds {
		if names[need.page] {
			continue
		}
		names[need.page] = true
		page, err := cookbookRead(need.page)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, s := range page.sections {
			if !often(page.name + "/" + s.title) {
				continue
			}
			t.Run(page.name+"/"+s.title, func(t *testing.T) {
				t.Parallel()
				cookbookLoses(t, page, s, cookbookNeedOf(page, s))
			})
		}
	}
	// What counts the failures counts them: a predecessor that is killed at once.
	t.Run("counts", func(t *testing.T) {
		t.Parallel()
		page, err := cookbookRead("nginx")
		if err != nil {
			t.Fatal(err)
		}
		r := cookbookUp(t, page, page.sections[0], "SWAPINIT_DRAIN=off", "SWAPINIT_KEEP=0", "SWAPINIT_RETIRE_SIGNAL=KILL")
		total := cookbookLoad(t, r, cookbookNeed{}, nil)
		if total.Slow.Failed == 0 {
			t.Errorf("none failed: %v", total.Slow)
		}
	})
}

// cookbookNeedOf is the entry of a section.
func cookbookNeedOf(page *cookbookPage, s *cookbookSection) (need cookbookNeed) {
	for _, n := range cookbookNeeds {
		if n.page == page.name && (n.section == s.title || n.section == "" && need.page == "") {
			need = n
		}
	}
	return need
}

func cookbookLoses(t *testing.T, page *cookbookPage, s *cookbookSection, need cookbookNeed) {
	t.Helper()
	r := cookbookUp(t, page, s, need.env...)
	if cmp.Or(need.protocol, "http") == "http" {
		r.project.awaitHTTP("web", cmp.Or(need.port, "8080"))
	}
	total := cookbookLoad(t, r, need, func() {
		for _, c := range s.typed {
			if err := r.types(c); err != nil {
				t.Error(err)
			}
			r.settled()
		}
		if need.also != nil {
			need.also(t, r)
		}
		if r.keep {
			before, _ := r.status().active()
			r.exec(r.swapinit(), "rollback")
			if after, _ := r.status().active(); after >= before {
				t.Errorf("generation %d is active after a rollback of generation %d", after, before)
			}
		}
	})
	for i, count := range []load.Count{cookbookSum(total.Fresh, total.Slow), total.Kept} {
		kind, claim := []string{"new", "kept"}[i], page.lost[s.title][i]
		t.Logf("%d requests on %s connections, %d failed, %d sent again; claimed: %s", count.Requests, kind, count.Failed, count.Again, claim)
		if most, err := strconv.Atoi(claim); err == nil && count.Failed > most || count.Requests == count.Failed {
			t.Errorf("on %s connections, where %s may fail: %v", kind, claim, count)
		}
	}
	if n := len(total.Fresh.Bodies); n <= cookbookSwaps && !need.same {
		t.Errorf("%d different answers from %d generations: %v", n, cookbookSwaps+1, total.Fresh.Bodies)
	}
	if r.exec(r.swapinit(), "health"); !t.Failed() {
		r.project.do("stop")
		if code := r.inspect("{{.State.ExitCode}}"); code == "137" {
			t.Errorf("it did not end within its stop_grace_period")
		}
	}
}

// cookbookLoad swaps under load, then does what is to be done under it, and counts.
func cookbookLoad(t *testing.T, r *cookbookRun, need cookbookNeed, then func()) zooTally {
	t.Helper()
	protocol, slow := cmp.Or(need.protocol, "http"), cmp.Or(need.slow, "http:/slow")
	if slow == "-" {
		slow = ""
	}
	l := zooLoadInside(t, r.dockerContainer, dockerImage(t, "scratch"), "-protocol", protocol, "-slow", slow, "-address", cmp.Or(need.host, "127.0.0.1")+":"+cmp.Or(need.port, "8080"))
	for range cookbookSwaps {
		l.more()
		r.swaps()
	}
	l.more()
	if then != nil {
		then()
		l.more()
	}
	total := l.stop()
	if slow != "" && total.Slow.Requests < cookbookSwaps {
		t.Errorf("only %d slow requests", total.Slow.Requests)
	}
	return total
}

func cookbookSum(a, b load.Count) load.Count {
	a.Requests += b.Requests
	a.Failed += b.Failed
	a.Refused += b.Refused
	a.Errors = append(a.Errors, b.Errors...)
	return a
}
