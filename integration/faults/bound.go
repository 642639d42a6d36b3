//go:build linux && amd64

package main

import "math"

// upperBound is the exact (Clopper-Pearson) upper end of the one-sided 95 %
// confidence interval of a failure rate, after failures in trials: the rate at
// which so few failures would have a chance of 5 %. Without failures it is the
// rule of three, 3/trials, nearly.
func upperBound(failures, trials int) float64 {
	const chance = 0.05
	if trials == 0 || failures >= trials {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 { // the chance falls as the rate grows
		rate := (low + high) / 2
		if atMost(failures, trials, rate) > chance {
			low = rate
		} else {
			high = rate
		}
	}
	return high
}

// atMost is the chance of k or fewer failures in n trials (binomial). In
// logarithms: the factors of a large n leave the range of a float64.
func atMost(k, n int, rate float64) float64 {
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(logChoose(n, i) + float64(i)*math.Log(rate) + float64(n-i)*math.Log1p(-rate))
	}
	return sum
}

func logChoose(n, k int) float64 {
	ln := func(m int) float64 { v, _ := math.Lgamma(float64(m + 1)); return v }
	return ln(n) - ln(k) - ln(n-k)
}
