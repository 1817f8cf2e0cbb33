package live

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A gate stands between one daemon and the API server. It ends TLS, so that it can tell requests apart, and calls
// `reached` at one of them: before it is passed on, or once it is answered and before the daemon hears of it.
type gate struct {
	kubeconfig string

	mutex   sync.Mutex
	at      point
	seen    int // requests of that kind
	reached func()
}

// point is the n-th request of a kind, counted from one.
type point struct {
	kind     string // of kindOf
	n        int
	answered bool
}

// kindOf names the steps of a group's commit.
func kindOf(r *http.Request) string {
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/binding"):
		return "binding"
	case r.Method == http.MethodPatch && strings.Contains(path, "/podgroups/"):
		return "group status"
	case r.Method == http.MethodPatch && strings.Contains(path, "/pods/"):
		return "pod status"
	case r.Method == http.MethodPatch && strings.Contains(path, "/persistentvolumeclaims/"):
		return "claim"
	}
	return ""
}

var errGateShut = errors.New("the daemon is gone")

// newGate listens until the test ends.
func newGate(t *testing.T, at point, reached func()) *gate {
	t.Helper()
	g := &gate{at: at, reached: reached}
	target, err := url.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(cluster.CA())
	transport := &http.Transport{ // with no certificate of its own: the daemon's token says who asks
		TLSClientConfig: &tls.Config{RootCAs: authorities}, MaxIdleConnsPerHost: 256, DisableCompression: true,
	}
	silent := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorLog:      silent,
		ModifyResponse: func(r *http.Response) error {
			if g.isIt(r.Request, true) {
				g.reached()
				return errGateShut
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ErrorLog:     silent,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as without the gate
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if g.isIt(r, false) {
				g.reached()
				panic(http.ErrAbortHandler)
			}
			if kindOf(r) != "" { // what was sent arrives, though the sender dies
				r = r.WithContext(context.WithoutCancel(r.Context()))
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	certificate, key := cluster.ServerCertificate()
	go func() { _ = server.ServeTLS(listener, certificate, key) }()
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	g.kubeconfig = writeKubeconfig(t, "https://"+listener.Addr().String(), cluster.CA(), token(t, "muster"))
	return g
}

// isIt counts the requests of the kind, at the moment that is asked for, and says whether this is the one.
func (g *gate) isIt(r *http.Request, answered bool) bool {
	if kindOf(r) != g.at.kind || answered != g.at.answered {
		return false
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.seen++
	return g.seen == g.at.n
}
