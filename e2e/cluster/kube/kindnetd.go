package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// How the container runtime connects pods: by a pair of interfaces and a route for each, as the kindnetd of kind does.
const conflist = `{"cniVersion": "1.0.0", "name": "kindnet", "plugins": [
  {"type": "ptp", "mtu": 1500, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
    "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": %q}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`

// What pods send to addresses that are no pod's has the node's address.
const masquerade = `table ip kindnet
delete table ip kindnet
table ip kindnet {
  chain postrouting {
    type nat hook postrouting priority srcnat - 10; policy accept;
    ip saddr %[1]s ip daddr != %[1]s fib daddr type != local masquerade
  }
}
`

// kindnetd stands in for the program of that name, which is published as an image only. It is the network of kind
// (e2e/kind): it writes this node's CNI configuration, and a route to the pods of each other node. kind's manifest sets
// HOST_IP, POD_SUBNET and CONTROL_PLANE_ENDPOINT. Network policies and IPv6 are missing.
func kindnetd() error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint // kube-proxy may not have set up the Service yet
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(fmt.Sprintf(masquerade, os.Getenv("POD_SUBNET")))
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	for ; ; time.Sleep(time.Second) {
		nodes, err := client.CoreV1().Nodes().List(context.Background(), meta.ListOptions{})
		if err == nil {
			err = connect(os.Getenv("HOST_IP"), nodes.Items)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// connect sets up the network of the node with this address.
func connect(own string, nodes []core.Node) (all error) {
	for _, node := range nodes {
		var address string
		for _, it := range node.Status.Addresses {
			if it.Type == core.NodeInternalIP {
				address = it.Address
			}
		}
		if node.Spec.PodCIDR == "" || address == "" {
			continue
		}
		if address == own {
			content := fmt.Appendf(nil, conflist, node.Spec.PodCIDR)
			all = errors.Join(all, write("/etc/cni/net.d/10-kindnet.conflist", content))
			continue
		}
		_, pods, err := net.ParseCIDR(node.Spec.PodCIDR)
		if err == nil {
			err = netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: net.ParseIP(address)})
		}
		all = errors.Join(all, err)
	}
	return all
}

// write replaces a file as a whole, if its content differs.
func write(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
