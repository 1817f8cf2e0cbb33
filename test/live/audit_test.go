package live

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	controlplane "muster.dev/muster/test/control_plane"
)

// request is one line of the API server's audit log: what one of the two schedulers asked for.
type request struct {
	Verb string
	User struct {
		Username string
	}
	ObjectRef struct {
		APIGroup, Resource, Subresource, Namespace, Name string
	}
	ResponseStatus struct {
		Code int
	}
	Annotations map[string]string
}

func auditLog(t *testing.T, c *controlplane.Cluster) []request {
	t.Helper()
	file, err := os.Open(filepath.Join(c.Dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		// A killed server may leave half a line.
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			all = append(all, r)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkBindings wants no pod of the scene bound twice, and returns who bound each, and how often the server
// answered a binding with each status.
func (s *scene) checkBindings() (binder map[string]string, codes map[int]int) {
	s.t.Helper()
	binder, codes = map[string]string{}, map[int]int{}
	for _, r := range auditLog(s.t, cluster) {
		if r.ObjectRef.Subresource != "binding" || r.ObjectRef.Namespace != s.namespace {
			continue
		}
		codes[r.ResponseStatus.Code]++
		if r.ResponseStatus.Code != 201 {
			continue
		}
		if first, twice := binder[r.ObjectRef.Name]; twice {
			s.t.Errorf("pod %s was bound by %s and again by %s", r.ObjectRef.Name, first, r.User.Username)
		}
		binder[r.ObjectRef.Name] = r.User.Username
	}
	return binder, codes
}
