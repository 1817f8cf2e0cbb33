package main

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/kubernetes/pkg/apis/storage"
	storagevalidation "k8s.io/kubernetes/pkg/apis/storage/validation"
)

// validate says why the API server would not store this. What it would take only because an older object has it
// already is let through.
func (c *cluster) validate() error {
	for _, node := range c.nodes {
		internal := &core.Node{}
		if err := convert(node, internal); err != nil {
			return err
		}
		if errs := validation.ValidateNode(internal); len(errs) > 0 {
			return errs.ToAggregate()
		}
	}
	for _, pod := range c.pods {
		if err := validatePod(pod); err != nil {
			return fmt.Errorf("pod %s: %w", pod.Name, err)
		}
	}
	names := map[string]bool{}
	for _, other := range c.others {
		if err := validateOther(other); err != nil {
			return fmt.Errorf("%T %s: %w", other, other.GetName(), err)
		}
		name := fmt.Sprintf("%T %s/%s", other, other.GetNamespace(), other.GetName())
		if names[name] {
			return fmt.Errorf("two of %s", name)
		}
		names[name] = true
	}
	return nil
}

func validatePod(pod *v1.Pod) error {
	internal := &core.Pod{}
	if err := convert(pod, internal); err != nil {
		return err
	}
	internal.ResourceVersion = ""
	options := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	options.ResourceIsPod = true
	options.AllowInvalidLabelValueInRequiredNodeAffinity = true
	options.AllowUserNamespacesHostNetworkSupport = true
	return validation.ValidatePodCreate(internal, options).ToAggregate()
}

// validateOther looks at what the plugins read; the templates of controllers are left alone.
func validateOther(o stored) error {
	if o.GetName() == "" {
		return fmt.Errorf("no name")
	}
	var errs field.ErrorList
	switch o := o.(type) {
	case *v1.Namespace:
		internal := &core.Namespace{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = validation.ValidateNamespace(internal)
	case *v1.PersistentVolume:
		internal := &core.PersistentVolume{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = validation.ValidatePersistentVolume(internal, validation.ValidationOptionsForPersistentVolume(internal, nil))
	case *v1.PersistentVolumeClaim:
		internal := &core.PersistentVolumeClaim{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = validation.ValidatePersistentVolumeClaim(internal, validation.ValidationOptionsForPersistentVolumeClaimCreate())
	case *storagev1.StorageClass:
		internal := &storage.StorageClass{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = storagevalidation.ValidateStorageClass(internal)
	case *storagev1.CSINode:
		internal := &storage.CSINode{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = storagevalidation.ValidateCSINode(internal)
	case *storagev1.CSIDriver:
		internal := &storage.CSIDriver{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = storagevalidation.ValidateCSIDriver(internal)
	case *storagev1.CSIStorageCapacity:
		internal := &storage.CSIStorageCapacity{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = storagevalidation.ValidateCSIStorageCapacity(internal, storagevalidation.CSIStorageCapacityValidateOptions{})
	case *storagev1.VolumeAttachment:
		internal := &storage.VolumeAttachment{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = storagevalidation.ValidateVolumeAttachment(internal)
	case *policyv1.PodDisruptionBudget:
		internal := &policy.PodDisruptionBudget{}
		if err := convert(o, internal); err != nil {
			return err
		}
		errs = policyvalidation.ValidatePodDisruptionBudget(internal, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *appsv1.ReplicaSet:
		return validateSelector(o.Spec.Selector)
	case *appsv1.StatefulSet:
		return validateSelector(o.Spec.Selector)
	}
	return errs.ToAggregate()
}

func validateSelector(selector *metav1.LabelSelector) error {
	if selector == nil {
		return fmt.Errorf("no selector")
	}
	_, err := metav1.LabelSelectorAsSelector(selector)
	return err
}
