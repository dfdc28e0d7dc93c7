// Verifies that kind accepts e2e/kind.yaml.
package kind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/cluster"
)

// A fake docker without clusters, which fails when a container is to be started: by then kind has read
// and validated everything.
const docker = `#!/bin/sh
case "$1" in
info) echo '{"CgroupVersion":"2","MemoryLimit":true,"PidsLimit":true,"CPUShares":true}' ;;
ps | inspect) ;;
*) echo "as far as it gets" >&2; exit 1 ;;
esac
`

// create does everything that kind does before it starts the first node, and returns why it ended.
func create(t *testing.T, config string) string {
	t.Helper()
	programs := t.TempDir()
	if err := os.WriteFile(filepath.Join(programs, "docker"), []byte(docker), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", programs)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	provider := cluster.NewProvider(cluster.ProviderWithDocker())
	err := provider.Create("callgate-e2e", cluster.CreateWithRawConfig([]byte(config)), cluster.CreateWithKubeconfigPath(kubeconfig))
	if err == nil {
		t.Fatal("a cluster without Docker?")
	}
	return err.Error()
}

func TestKindTakesTheConfiguration(t *testing.T) {
	config, err := os.ReadFile("../../kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const started = "failed to ensure docker network"
	if why := create(t, string(config)); !strings.HasPrefix(why, started) {
		t.Errorf("kind says: %s", why)
	}
	for what, spoilt := range map[string]string{
		"a misspelt key":     strings.Replace(string(config), "nodes:", "node:", 1),
		"an unknown role":    strings.Replace(string(config), "role: worker", "role: slave", 1),
		"an unknown version": strings.Replace(string(config), "v1alpha4", "v1alpha5", 1),
	} {
		if spoilt == string(config) {
			t.Errorf("%s: the replacement does not apply", what)
		}
		if why := create(t, spoilt); strings.HasPrefix(why, started) {
			t.Errorf("kind takes %s", what)
		}
	}
}
