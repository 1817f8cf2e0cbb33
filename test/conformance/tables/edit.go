// Package tables runs the unit tests of kube-scheduler's plugins so that they write down their tables: it edits a
// copy of upstream's sources, of which nothing is kept.
package tables

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
	"strings"
)

const recorder = "muster.dev/muster/test/conformance/tables/record"

// Methods whose calls are recorded, and as what: those of plugins, of VolumeBinding's binder, of what preempts.
var methods = map[string]string{"PreFilter": "PreFilter", "Filter": "Filter", "PreScore": "PreScore", "Score": "Score",
	"NormalizeScore": "NormalizeScore", "FindPodVolumes": "Filter", "DryRunPreemption": "DryRunPreemption"}

type editor struct {
	source []byte
	files  *token.FileSet
	file   *ast.File
	edits  []edit
	added  bytes.Buffer // at the end of the file
}

// edit replaces source[from:to].
type edit struct {
	from, to int
	text     string
}

func newEditor(name string, source []byte) (*editor, error) {
	e := &editor{source: source, files: token.NewFileSet()}
	var err error
	e.file, err = parser.ParseFile(e.files, name, source, parser.SkipObjectResolution)
	return e, err
}

func (e *editor) at(pos token.Pos) int { return e.files.Position(pos).Offset }
func (e *editor) text(node ast.Node) string {
	return string(e.source[e.at(node.Pos()):e.at(node.End())])
}
func (e *editor) insert(pos token.Pos, text string) {
	e.edits = append(e.edits, edit{e.at(pos), e.at(pos), text})
}

// result is nil where nothing is to be edited.
func (e *editor) result() []byte {
	if len(e.edits) == 0 {
		return nil
	}
	e.insert(e.file.Name.End(), fmt.Sprintf("; import tablerecord %q", recorder))
	sort.SliceStable(e.edits, func(i, j int) bool { return e.edits[i].from < e.edits[j].from })
	var out bytes.Buffer
	last := 0
	for _, edit := range e.edits {
		out.Write(e.source[last:edit.from])
		out.WriteString(edit.text)
		last = edit.to
	}
	out.Write(e.source[last:])
	out.Write(e.added.Bytes())
	return out.Bytes()
}

// editPlugin puts a wrapper around the methods, and around what makes plugins.
func editPlugin(name string, source []byte) ([]byte, error) {
	e, err := newEditor(name, source)
	if err != nil {
		return nil, err
	}
	for _, declaration := range e.file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		if function.Recv != nil && methods[function.Name.Name] != "" && function.Recv.List[0].Names != nil {
			e.wrapMethod(function)
		}
		if function.Recv == nil && strings.HasPrefix(function.Name.Name, "New") {
			e.wrapMaker(function)
		}
	}
	return e.result(), nil
}

// parameters lists them under names of our own, with their types, and the names alone.
func (e *editor) parameters(function *ast.FuncDecl) (declared, names string) {
	n := 0
	for _, field := range function.Type.Params.List {
		for range max(1, len(field.Names)) {
			declared += fmt.Sprintf("p%d %s, ", n, e.text(field.Type))
			names += fmt.Sprintf("p%d, ", n)
			n++
		}
	}
	return declared, names
}

func (e *editor) results(function *ast.FuncDecl) (declared, names string) {
	for i, field := range function.Type.Results.List {
		declared += e.text(field.Type) + ", "
		names += fmt.Sprintf("r%d, ", i)
	}
	return declared, strings.TrimSuffix(names, ", ")
}

func (e *editor) wrapMethod(function *ast.FuncDecl) {
	name, receiver := function.Name.Name, function.Recv.List[0]
	if _, ok := receiver.Type.(*ast.StarExpr); !ok {
		return
	}
	declared, names := e.parameters(function)
	types, results := e.results(function)
	e.insert(function.Name.Pos(), "tableOf")
	fmt.Fprintf(&e.added, "\nfunc (pl %s) %s(%s) (%s) {\n\tanswered := tablerecord.Asked(%q, pl, %s)\n\t%s := pl.tableOf%s(%s)\n"+
		"\tanswered(%s)\n\treturn %s\n}\n",
		e.text(receiver.Type), name, declared, types, methods[name], names, results, name, names, results, results)
}

func (e *editor) wrapMaker(function *ast.FuncDecl) {
	parameters := function.Type.Params.List
	if function.Type.Results == nil || len(function.Type.Results.List) != 2 || len(parameters) < 2 ||
		e.text(parameters[1].Type) != "runtime.Object" || len(parameters[0].Names) > 1 || function.Type.TypeParams != nil {
		return
	}
	declared, names := e.parameters(function)
	types, results := e.results(function)
	name := function.Name.Name
	e.insert(function.Name.Pos(), "tableOf")
	fmt.Fprintf(&e.added, "\nfunc %s(%s) (%s) {\n\t%s := tableOf%s(%s)\n\ttablerecord.Made(r0, p1)\n\treturn %s\n}\n",
		name, declared, types, results, name, names, results)
}

// editTest makes a test say which row it is at. Rows run one after another.
func editTest(name string, source []byte) ([]byte, error) {
	e, err := newEditor(name, source)
	if err != nil {
		return nil, err
	}
	for _, declaration := range e.file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv != nil || !strings.HasPrefix(strings.ToLower(function.Name.Name), "test") {
			continue
		}
		e.start(function.Type, function.Body)
		e.rows(function.Body)
	}
	return e.result(), nil
}

// rows edits the body of a test.
func (e *editor) rows(body *ast.BlockStmt) {
	inFunction := 0
	var visit func(ast.Node) bool
	visit = func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncLit:
			e.start(n.Type, n.Body)
			inFunction++
			ast.Inspect(n.Body, visit)
			inFunction--
			return false
		case *ast.RangeStmt:
			if inFunction == 0 {
				e.insert(n.Body.Lbrace+1, " tablerecord.Next();")
			}
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok {
				if selector, ok := call.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "Parallel" && len(call.Args) == 0 {
					e.edits = append(e.edits, edit{e.at(n.Pos()), e.at(n.End()), ""})
				}
			}
		}
		return true
	}
	ast.Inspect(body, visit)
}

func (e *editor) start(signature *ast.FuncType, body *ast.BlockStmt) {
	if len(signature.Params.List) != 1 || len(signature.Params.List[0].Names) != 1 {
		return
	}
	parameter := signature.Params.List[0]
	if t := e.text(parameter.Type); (t == "*testing.T" || t == "ktesting.TContext") && parameter.Names[0].Name != "_" {
		e.insert(body.Lbrace+1, fmt.Sprintf(" tablerecord.Start(%s);", parameter.Names[0].Name))
	}
}
