package main

import (
	"math"
	"slices"
)

// blocks is how many independent ratios a metric's samples are turned into.
const blocks = 15

// spread is a median with its quartiles.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spreadOf(samples []float64) spread {
	s := slices.Sorted(slices.Values(samples))
	return spread{quantile(s, 0.5), quantile(s, 0.25), quantile(s, 0.75)}
}

// quantile interpolates in sorted samples.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(samples []float64) float64 { return spreadOf(samples).Median }

// ratio compares samples that were taken in turns. One pair says little: a
// round is cheap and noisy. So neighbours are put together, and the spread is
// that of the ratios of their medians.
func ratio(a, b []float64) (s spread, ok bool) {
	n := min(len(a), len(b))
	of := min(n, blocks)
	var ratios []float64
	for i := range of {
		from, to := i*n/of, (i+1)*n/of
		if d := median(b[from:to]); d > 0 {
			ratios = append(ratios, median(a[from:to])/d)
		}
	}
	if len(ratios) == 0 {
		return spread{}, false // nothing to divide by: no wakeups
	}
	return spreadOf(ratios), true
}

// less subtracts what was measured in the same round without an init.
func less(samples, base []float64) []float64 {
	var added []float64
	for i := range min(len(samples), len(base)) {
		added = append(added, samples[i]-base[i])
	}
	return added
}
