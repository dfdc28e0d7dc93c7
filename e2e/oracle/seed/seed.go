// Package seed chooses the random numbers of a test.
package seed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Rand is seeded by CALLGATE_SEED, or at random if that is not set. The test logs
// the seed, with which it can be repeated.
func Rand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if word := os.Getenv("CALLGATE_SEED"); word != "" {
		var err error
		if seed, err = strconv.ParseUint(word, 10, 64); err != nil {
			t.Fatal("CALLGATE_SEED: ", err)
		}
	}
	t.Logf("CALLGATE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
