// SPDX-License-Identifier: Apache-2.0

// judge FOLDER: takes what `kubectl apply -k FOLDER` would send as Kubernetes' API server takes it. Kustomize builds it; each object is decoded
// strictly, gets its defaults, and is judged by the strategy that decides about its creation there, warnings included. Prints each object as it
// would be stored, a line of JSON each. Built by tools/receivers, which says of which version.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	strict "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var strategies = map[string]rest.RESTCreateStrategy{
	"ClusterRole":        clusterrole.Strategy,
	"ClusterRoleBinding": clusterrolebinding.Strategy,
	"ConfigMap":          configmap.Strategy,
	"DaemonSet":          daemonset.Strategy,
	"Namespace":          namespace.Strategy,
	"ServiceAccount":     serviceaccount.Strategy,
}

// create does what the API server does with a request to create the object, but for storing it.
func create(text []byte) (runtime.Object, error) {
	scheme := legacyscheme.Scheme
	serializer := strict.NewSerializerWithOptions(strict.DefaultMetaFactory, scheme, scheme, strict.SerializerOptions{Yaml: true, Strict: true})
	object, kind, err := serializer.Decode(text, nil, nil)
	if err != nil {
		return nil, err
	}
	strategy, known := strategies[kind.Kind]
	if !known {
		return nil, fmt.Errorf("no strategy is imported for a %s", kind.Kind)
	}
	scheme.Default(object)
	internal, err := scheme.ConvertToVersion(object, schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal})
	if err != nil {
		return nil, err
	}
	accessor, err := meta.Accessor(internal)
	if err != nil {
		return nil, err
	}
	rest.FillObjectMetaSystemFields(accessor)
	ctx := request.WithNamespace(context.Background(), accessor.GetNamespace())
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{APIGroup: kind.Group, APIVersion: kind.Version})
	if err := rest.BeforeCreate(strategy, ctx, internal); err != nil {
		return nil, err
	}
	if warnings := strategy.WarningsOnCreate(ctx, internal); len(warnings) > 0 {
		return nil, fmt.Errorf("warnings: %q", warnings)
	}
	return object, nil
}

func judge(folder string) error {
	found, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return err
	}
	for _, resource := range found.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return err
		}
		object, err := create(text)
		if err != nil {
			return fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(object); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: judge FOLDER")
		os.Exit(2)
	}
	if err := judge(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
