package tables

import (
	"strings"
	"testing"
)

func TestEditedSources(t *testing.T) {
	for _, row := range []struct {
		name   string
		edit   func(string, []byte) ([]byte, error)
		source string
		want   []string // "" alone: left as it is
	}{
		{"a method", editPlugin, "package p\nfunc (pl *P) Filter(_ C, a, b int) *S { return nil }\n",
			[]string{") tableOfFilter(_ C", "func (pl *P) Filter(p0 C, p1 int, p2 int, ) (*S, )", "pl.tableOfFilter(p0, p1, p2, )"}},
		{"another method", editPlugin, "package p\nfunc (pl *P) Reserve(a int) {}\n", nil},
		{"what makes a plugin", editPlugin, "package p\nfunc New(_ C, o runtime.Object, h H) (P, error) { return nil, nil }\n",
			[]string{"func tableOfNew(", "func New(p0 C, p1 runtime.Object, p2 H, )", "tablerecord.Made(r0, p1)"}},
		{"what makes something else", editPlugin, "package p\nfunc NewState() (S, error) { return nil, nil }\n", nil},
		{"a table of subtests", editTest, "package p\nfunc TestA(t *testing.T) { for range x { t.Run(n, func(t *testing.T) { t.Parallel(); f() }) } }\n",
			[]string{"{ tablerecord.Start(t); for", "x { tablerecord.Next(); t.Run", "{ tablerecord.Start(t); ; f() }"}},
		{"a helper", editTest, "package p\nfunc helper(t *testing.T) {}\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.edit("source.go", []byte(row.source))
			if err != nil {
				t.Fatal(err)
			}
			if (got == nil) != (row.want == nil) {
				t.Errorf("edited: %v, want %v", got != nil, row.want != nil)
			}
			for _, want := range row.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("lacks %q:\n%s", want, got)
				}
			}
		})
	}
}
