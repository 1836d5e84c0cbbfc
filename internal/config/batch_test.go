package config

import "testing"

func TestBatch(t *testing.T) {
	for _, c := range []struct {
		batch         Batch
		workers, want int
	}{
		{"all", 1, 1}, {"all", 4, 4}, {"all", 256, 256}, {"all", 0, 1},
		{"1", 1, 1}, {"1", 4, 1}, {"3", 4, 3}, {"4", 4, 4}, {"5", 4, 4}, {"2147483647", 4, 4}, {"03", 4, 3}, {"2", 0, 1},
		{"1%", 1, 1}, {"1%", 4, 1}, {"25%", 4, 1}, {"49%", 4, 1}, {"50%", 4, 2}, {"74%", 4, 2}, {"99%", 4, 3}, {"100%", 4, 4},
		{"33%", 10, 3}, {"1%", 256, 2}, {"99%", 256, 253}, {"100%", 256, 256}, {"50%", 0, 1},
		{"", 4, 4}, {"rubbish", 4, 4}, {"0", 4, 4}, {"200%", 4, 4}, // never got past Load
	} {
		if got := c.batch.Of(c.workers); got != c.want {
			t.Errorf("%q of %d workers: %d, want %d", c.batch, c.workers, got, c.want)
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, s := range []string{"all", "3", "25%", "100%", "-1", "%", "4294967296%"} {
		f.Add(s, 4)
	}
	f.Fuzz(func(t *testing.T, s string, workers int) {
		workers &= 0xffff
		if n := Batch(s).Of(workers); n < 1 || n > max(1, workers) {
			t.Errorf("%q of %d workers: %d", s, workers, n)
		}
	})
}
