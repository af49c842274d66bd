package registry_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestClientsAreCountedWhileTheyChange: what changes while the clients are counted after a
// start, page by page, is counted once.
func TestClientsAreCountedWhileTheyChange(t *testing.T) {
	t.Parallel()
	runLasting(t, true, func(x *fixture) {
		var ids []string
		for i := range 1200 {
			ids = append(ids, x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i))).ClientID)
		}
		x.restart()
		var group sync.WaitGroup
		for n := range 4 {
			group.Go(func() {
				for i := range 20 {
					if err := x.Registry.Delete(x.t.Context(), x.ws, ids[n*300+i*10], presented(fmt.Sprint("t", n, i))); err != nil {
						x.t.Error(err)
					}
					if _, err := x.Register(x.t.Context(), x.ws, request(fmt.Sprint("more", n, i), fmt.Sprint("more", n, i))); err != nil {
						x.t.Error(err)
					}
				}
			})
		}
		group.Wait()
		x.counted()
		counts, _ := x.ClientCounts([]string{x.ws.Name})
		if n := counts[0].ByStatus[registry.Active]; n != 1200 {
			t.Errorf("%d active clients, want 1200", n)
		}
	})
}
