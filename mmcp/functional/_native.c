/* The loops over vertices and mask pixels that numpy would need many calls
 * for. Each function gives what its twin in numpy gives; see native.py.
 *
 * A function that meets input it was not made for returns None, and the twin
 * takes over. Buffers are one part of an object each: float64, x0, y0, x1, y1,
 * ... in pixels.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* pycocotools rounds coordinates to fifths of a pixel. */
#define FINE 5
/* Twice this, in fifths, still fits an int32. */
#define FAR_AWAY 1e8

/* ---- buffers ---------------------------------------------------------- */

/* Views of all parts of one object. */
typedef struct {
    Py_buffer *views;
    Py_ssize_t count;
} Parts;

static const double *points_of(const Py_buffer *view) {
    return (const double *)view->buf;
}

static Py_ssize_t vertices_of(const Py_buffer *view) {
    return view->len / (2 * (Py_ssize_t)sizeof(double));
}

static void release_parts(Parts *parts) {
    while (parts->count > 0) {
        PyBuffer_Release(&parts->views[--parts->count]);
    }
    PyMem_Free(parts->views);
}

static int is_doubles(const Py_buffer *view) {
    return view->format != NULL && strcmp(view->format, "d") == 0;
}

/* Takes the views; 0, or -1 with an exception. */
static int take_parts(PyObject *sequence, Parts *parts) {
    PyObject *fast = PySequence_Fast(sequence, "parts must be a sequence");
    if (fast == NULL) {
        return -1;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    parts->count = 0;
    parts->views = PyMem_Calloc((size_t)count + 1, sizeof(Py_buffer));
    if (parts->views == NULL) {
        Py_DECREF(fast);
        PyErr_NoMemory();
        return -1;
    }
    /* An item's own code may shorten a list. */
    while (parts->count < Py_MIN(count, PySequence_Fast_GET_SIZE(fast))) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, parts->count);
        Py_buffer *view = &parts->views[parts->count];
        if (PyObject_GetBuffer(item, view, PyBUF_FORMAT | PyBUF_ND) < 0) {
            break;
        }
        parts->count++;
        if (!is_doubles(view)) {
            PyErr_SetString(PyExc_TypeError, "a part must be float64");
            break;
        }
    }
    Py_DECREF(fast);
    if (PyErr_Occurred()) {
        release_parts(parts);
        return -1;
    }
    return 0;
}

static PyObject *doubles_as_bytes(const double *values, Py_ssize_t count) {
    return PyByteArray_FromStringAndSize(
        (const char *)values, count * (Py_ssize_t)sizeof(double));
}

/* ---- sound_parts ------------------------------------------------------ */

/* Reads a list of numbers; 1 if they are, 0 if the twin must, -1: error. */
static int read_numbers(PyObject *list, double *values) {
    Py_ssize_t count = PyList_GET_SIZE(list);
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *item = PyList_GET_ITEM(list, k);
        if (PyFloat_Check(item)) {
            values[k] = PyFloat_AS_DOUBLE(item);
        } else if (PyLong_CheckExact(item)) {
            values[k] = PyLong_AsDouble(item);
            if (values[k] == -1.0 && PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
                    return -1;
                }
                PyErr_Clear();
                return 0;
            }
        } else {
            return 0;
        }
    }
    return 1;
}

/* Whether all coordinates lie within the limit; also whether they reach into
 * the image. */
static int is_near(const double *values, Py_ssize_t count, double limit,
                   double height, double width, int *inside) {
    double x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    for (Py_ssize_t k = 0; k < count; k += 2) {
        double x = values[k], y = values[k + 1];
        if (!(fabs(x) <= limit && fabs(y) <= limit)) {
            return 0;
        }
        x0 = x < x0 ? x : x0;
        x1 = x > x1 ? x : x1;
        y0 = y < y0 ? y : y0;
        y1 = y > y1 ? y : y1;
    }
    *inside |= x0 < width && y0 < height && x1 > 0 && y1 > 0;
    return 1;
}

/* Appends a part to the sound ones; as read_numbers. */
static int add_sound_part(PyObject *sound, PyObject *part, double limit,
                          double height, double width, int *inside) {
    if (!PyList_CheckExact(part)) {
        return 0;
    }
    Py_ssize_t count = PyList_GET_SIZE(part);
    double *values = PyMem_New(double, count + 1);
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int status = read_numbers(part, values);
    if (status == 1 && count >= 6 && count % 2 == 0 &&
        is_near(values, count, limit, height, width, inside)) {
        PyObject *bytes = doubles_as_bytes(values, count);
        status = bytes != NULL && PyList_Append(sound, bytes) == 0 ? 1 : -1;
        Py_XDECREF(bytes);
    }
    PyMem_Free(values);
    return status;
}

PyDoc_STRVAR(sound_parts_doc,
"sound_parts(parts, limit, height, width)\n--\n\n"
"The sound parts as bytearrays of float64; None unless all are lists of\n"
"numbers.");

static PyObject *sound_parts(PyObject *self, PyObject *args) {
    PyObject *parts;
    double limit, height, width;
    if (!PyArg_ParseTuple(args, "Oddd", &parts, &limit, &height, &width)) {
        return NULL;
    }
    if (!PyList_CheckExact(parts)) {
        Py_RETURN_NONE;
    }
    PyObject *sound = PyList_New(0);
    int inside = 0, status = sound == NULL ? -1 : 1;
    for (Py_ssize_t k = 0; status == 1 && k < PyList_GET_SIZE(parts); k++) {
        status = add_sound_part(sound, PyList_GET_ITEM(parts, k), limit,
                                height, width, &inside);
    }
    if (status == 1 && (inside || PyList_GET_SIZE(sound) == 0)) {
        return sound;
    }
    Py_XDECREF(sound);
    if (status == -1) {
        return NULL;
    }
    if (status == 0) {
        Py_RETURN_NONE;
    }
    return PyList_New(0);
}

/* ---- measure ---------------------------------------------------------- */

/* Widens an extent and raises a thickness by one part. */
static void measure_part(const double *points, Py_ssize_t count,
                         double *extent, double *thickness) {
    double doubled = 0, perimeter = 0;
    for (Py_ssize_t k = 0; k < count; k++) {
        Py_ssize_t next = k + 1 == count ? 0 : k + 1;
        double x = points[2 * k], y = points[2 * k + 1];
        double after_x = points[2 * next], after_y = points[2 * next + 1];
        double dx = after_x - x, dy = after_y - y;
        doubled += x * after_y - after_x * y;
        perimeter += sqrt(dx * dx + dy * dy);
        extent[0] = x < extent[0] ? x : extent[0];
        extent[1] = y < extent[1] ? y : extent[1];
        extent[2] = x > extent[2] ? x : extent[2];
        extent[3] = y > extent[3] ? y : extent[3];
    }
    double thick = fabs(doubled) / (perimeter > 1e-9 ? perimeter : 1e-9);
    *thickness = thick > *thickness ? thick : *thickness;
}

PyDoc_STRVAR(measure_doc,
"measure(parts)\n--\n\n"
"Extent x0, y0, x1, y1 and thickness of one object.");

static PyObject *measure(PyObject *self, PyObject *sequence) {
    Parts parts;
    if (take_parts(sequence, &parts) < 0) {
        return NULL;
    }
    double extent[] = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    double thickness = 0;
    for (Py_ssize_t k = 0; k < parts.count; k++) {
        measure_part(points_of(&parts.views[k]), vertices_of(&parts.views[k]),
                     extent, &thickness);
    }
    release_parts(&parts);
    return Py_BuildValue("ddddd", extent[0], extent[1], extent[2], extent[3],
                         thickness);
}

/* ---- clip ------------------------------------------------------------- */

/* Cuts off what lies beyond `limit` on an axis, from `points` to `out`, which
 * has room for twice as many; the number of vertices left. */
static Py_ssize_t clip_axis(const double *points, Py_ssize_t count, int axis,
                            double limit, double *out) {
    Py_ssize_t left = 0;
    for (Py_ssize_t k = 0; k < count; k++) {
        const double *here = points + 2 * k;
        const double *after = points + 2 * (k + 1 == count ? 0 : k + 1);
        int beyond = here[axis] > limit;
        if (!beyond) {
            memcpy(out + 2 * left++, here, 2 * sizeof(double));
        }
        if (beyond != (after[axis] > limit)) {
            double share = (limit - here[axis]) / (after[axis] - here[axis]);
            double *crossing = out + 2 * left++;
            crossing[0] = here[0] + share * (after[0] - here[0]);
            crossing[1] = here[1] + share * (after[1] - here[1]);
            crossing[axis] = limit;
        }
    }
    if (left == 0) {
        /* All beyond: a polygon of no area, on the line. */
        memcpy(out, points, (size_t)count * 2 * sizeof(double));
        for (Py_ssize_t k = 0; k < count; k++) {
            out[2 * k + axis] = limit;
        }
        return count;
    }
    return left;
}

static int reaches_beyond(const double *points, Py_ssize_t count, int axis,
                          double limit) {
    for (Py_ssize_t k = 0; k < count; k++) {
        if (points[2 * k + axis] > limit) {
            return 1;
        }
    }
    return 0;
}

/* One part cut on both axes: a new reference to it or to a bytearray. */
static PyObject *clip_part(PyObject *part, const double *points,
                           Py_ssize_t count, const double *limits) {
    /* Each axis may double the vertices. */
    double *first = PyMem_New(double, 12 * count + 1);
    if (first == NULL) {
        return PyErr_NoMemory();
    }
    double *buffers[] = {first, first + 4 * count};
    const double *now = points;
    for (int axis = 0; axis < 2; axis++) {
        if (reaches_beyond(now, count, axis, limits[axis])) {
            count = clip_axis(now, count, axis, limits[axis], buffers[axis]);
            now = buffers[axis];
        }
    }
    PyObject *out = now == points ? Py_NewRef(part)
                                  : doubles_as_bytes(now, 2 * count);
    PyMem_Free(first);
    return out;
}

PyDoc_STRVAR(clip_doc,
"clip(parts, right, bottom)\n--\n\n"
"The parts cut to x <= right and y <= bottom: those that are whole as they\n"
"came, the others as bytearrays of float64.");

static PyObject *clip(PyObject *self, PyObject *args) {
    PyObject *sequence;
    double limits[2];
    Parts parts;
    if (!PyArg_ParseTuple(args, "O!dd", &PyList_Type, &sequence, &limits[0],
                          &limits[1]) ||
        take_parts(sequence, &parts) < 0) {
        return NULL;
    }
    PyObject *out = PyList_New(parts.count);
    for (Py_ssize_t k = 0; out != NULL && k < parts.count; k++) {
        PyObject *cut = clip_part(
            parts.views[k].obj, points_of(&parts.views[k]),
            vertices_of(&parts.views[k]), limits);
        if (cut == NULL) {
            Py_CLEAR(out);
        } else {
            PyList_SET_ITEM(out, k, cut);
        }
    }
    release_parts(&parts);
    return out;
}

/* ---- rasterise -------------------------------------------------------- */

/* Where the outline of a part passes the middle of a column: the mask changes
 * from this row on downwards. */
typedef struct {
    int32_t column, row;
} Crossing;

typedef struct {
    Crossing *items;
    Py_ssize_t count, room;
    /* Columns and rows of the image. */
    int32_t width, height;
} Crossings;

static int add_crossing(Crossings *all, int32_t column, int32_t fine_row) {
    if (all->count == all->room) {
        Py_ssize_t room = 2 * all->room + 64;
        Crossing *items = all->items;
        if (PyMem_Resize(items, Crossing, room) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        all->items = items;
        all->room = room;
    }
    /* The first pixel whose middle lies at this row or below. */
    int32_t row = fine_row <= FINE / 2 ? 0 : (fine_row + FINE / 2) / FINE;
    all->items[all->count].column = column;
    all->items[all->count++].row = row < all->height ? row : all->height;
    return 0;
}

/* The fine coordinate that belongs to step t of an edge, as pycocotools
 * rounds it. */
static int32_t at_step(int32_t begin, double slope, int32_t t) {
    return (int32_t)(begin + slope * t + .5);
}

/* An edge that is at least as wide as it is high, from left to right. */
static int cross_flat(Crossings *all, const int32_t *a, const int32_t *b) {
    int32_t span = b[0] - a[0];
    double slope = (double)(b[1] - a[1]) / span;
    int32_t middle = FINE / 2;
    if (a[0] > middle) {
        middle += (a[0] - middle + FINE - 1) / FINE * FINE;
    }
    for (; middle < b[0]; middle += FINE) {
        int32_t column = middle / FINE, t = middle - a[0];
        if (column >= all->width) {
            break;
        }
        int32_t before = at_step(a[1], slope, t);
        int32_t after = at_step(a[1], slope, t + 1);
        if (add_crossing(all, column, before < after ? before : after) < 0) {
            return -1;
        }
    }
    return 0;
}

/* An edge that is higher than wide, from top to bottom. */
static int cross_steep(Crossings *all, const int32_t *a, const int32_t *b) {
    int32_t span = b[1] - a[1];
    int rising = b[0] > a[0];
    double slope = (double)(b[0] - a[0]) / span;
    int32_t low = rising ? a[0] : b[0], high = rising ? b[0] : a[0];
    int32_t middle = FINE / 2;
    if (low > middle) {
        middle += (low - middle + FINE - 1) / FINE * FINE;
    }
    for (; middle < high; middle += FINE) {
        int32_t column = middle / FINE;
        if (column >= all->width) {
            break;
        }
        /* The first step at which the edge is on the other side. */
        int32_t t = (int32_t)((middle + .5 - a[0]) / slope);
        t = t < 1 ? 1 : t > span ? span : t;
        while (t > 1 && (at_step(a[0], slope, t - 1) > middle) == rising) {
            t--;
        }
        while (t < span && (at_step(a[0], slope, t) > middle) != rising) {
            t++;
        }
        if (add_crossing(all, column, t - 1 + a[1]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int cross_edge(Crossings *all, const int32_t *a, const int32_t *b) {
    int32_t dx = abs(b[0] - a[0]), dy = abs(b[1] - a[1]);
    if (dx == 0) {
        return 0;
    }
    if (dx >= dy) {
        return a[0] <= b[0] ? cross_flat(all, a, b) : cross_flat(all, b, a);
    }
    return a[1] <= b[1] ? cross_steep(all, a, b) : cross_steep(all, b, a);
}

/* Appends the crossings of a part; 1, 0 if it is too far away, -1: error. */
static int cross_part(Crossings *all, const double *points,
                      Py_ssize_t count) {
    int32_t first[2], last[2], now[2];
    if (count == 0) {
        return 1;
    }
    for (Py_ssize_t k = 0; k < count; k++) {
        for (int axis = 0; axis < 2; axis++) {
            double value = points[2 * k + axis];
            if (!(fabs(value) < FAR_AWAY)) {
                return 0;
            }
            now[axis] = (int32_t)(FINE * value + .5);
        }
        if (k == 0) {
            memcpy(first, now, sizeof(now));
        } else if (cross_edge(all, last, now) < 0) {
            return -1;
        }
        memcpy(last, now, sizeof(now));
    }
    return cross_edge(all, last, first) < 0 ? -1 : 1;
}

/* A bitmap and where it lies in the image. */
typedef struct {
    uint8_t *pixels;
    Py_ssize_t x, y, rows, columns;
} Bitmap;

/* Fills zeros, with a row to spare, from the crossings; 0 if they are not
 * paired, as those of a closed outline are. */
static int fill(const Bitmap *box, const Crossing *items, Py_ssize_t count) {
    for (Py_ssize_t k = 0; k < count; k++) {
        Py_ssize_t row = items[k].row - box->y;
        box->pixels[row * box->columns + items[k].column - box->x] ^= 1;
    }
    uint8_t odd = 0;
    for (Py_ssize_t row = 1; row <= box->rows; row++) {
        uint8_t *now = box->pixels + row * box->columns;
        const uint8_t *above = now - box->columns;
        for (Py_ssize_t k = 0; k < box->columns; k++) {
            now[k] ^= above[k];
        }
    }
    for (Py_ssize_t k = 0; k < box->columns; k++) {
        odd |= box->pixels[box->rows * box->columns + k];
    }
    return !odd;
}

static int any_in_column(const Bitmap *map, Py_ssize_t stride,
                         Py_ssize_t column) {
    for (Py_ssize_t row = 0; row < map->rows; row++) {
        if (map->pixels[row * stride + column]) {
            return 1;
        }
    }
    return 0;
}

static int any_in_row(const Bitmap *map, Py_ssize_t stride, Py_ssize_t row) {
    for (Py_ssize_t column = 0; column < map->columns; column++) {
        if (map->pixels[row * stride + column]) {
            return 1;
        }
    }
    return 0;
}

/* Takes rows and columns without a pixel off all four sides. */
static void tighten(Bitmap *map, Py_ssize_t stride) {
    while (map->rows && !any_in_row(map, stride, map->rows - 1)) {
        map->rows--;
    }
    if (!map->rows) {
        map->columns = map->x = map->y = 0;
        return;
    }
    while (!any_in_row(map, stride, 0)) {
        map->pixels += stride;
        map->rows--;
        map->y++;
    }
    while (!any_in_column(map, stride, map->columns - 1)) {
        map->columns--;
    }
    while (!any_in_column(map, stride, 0)) {
        map->pixels++;
        map->columns--;
        map->x++;
    }
}

/* (x, y, (rows, columns), pixels); takes the reference to the pixels. */
static PyObject *describe(const Bitmap *map, PyObject *pixels) {
    if (pixels == NULL) {
        return NULL;
    }
    return Py_BuildValue("nn(nn)N", map->x, map->y, map->rows, map->columns,
                         pixels);
}

/* Describes what lies inside a bytearray of `area` pixels or more, in rows of
 * `stride`; takes the reference to it. */
static PyObject *pack_bitmap(Bitmap map, PyObject *pixels, Py_ssize_t area) {
    Py_ssize_t stride = map.columns;
    tighten(&map, stride);
    if (map.rows * map.columns == area) {
        if (PyByteArray_Resize(pixels, area) < 0) {
            Py_CLEAR(pixels);
        }
        return describe(&map, pixels);
    }
    PyObject *tight =
        PyByteArray_FromStringAndSize(NULL, map.rows * map.columns);
    for (Py_ssize_t row = 0; tight != NULL && row < map.rows; row++) {
        memcpy(PyByteArray_AS_STRING(tight) + row * map.columns,
               map.pixels + row * stride, (size_t)map.columns);
    }
    Py_DECREF(pixels);
    return describe(&map, tight);
}

/* The box of crossings, without memory. */
static Bitmap box_of(const Crossing *items, Py_ssize_t count) {
    Py_ssize_t x0 = PY_SSIZE_T_MAX, y0 = x0, x1 = 0, y1 = 0;
    for (Py_ssize_t k = 0; k < count; k++) {
        Py_ssize_t x = items[k].column, y = items[k].row;
        x0 = Py_MIN(x0, x);
        y0 = Py_MIN(y0, y);
        x1 = Py_MAX(x1, x + 1);
        y1 = Py_MAX(y1, y);
    }
    Bitmap box = {NULL, x0, y0, y1 - y0, x1 - x0};
    if (box.columns <= 0 || box.rows <= 0) {
        memset(&box, 0, sizeof(box));
    }
    return box;
}

/* Lays a part over an object; 1, 0 as fill, -1: error. */
static int overlay(const Bitmap *object, const Crossing *items,
                   Py_ssize_t count) {
    Bitmap part = box_of(items, count);
    if (!part.rows) {
        return 1;
    }
    part.pixels = PyMem_Calloc((size_t)(part.rows + 1), (size_t)part.columns);
    if (part.pixels == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int paired = fill(&part, items, count);
    for (Py_ssize_t row = 0; row < part.rows; row++) {
        uint8_t *out = object->pixels + part.x - object->x +
                       (row + part.y - object->y) * object->columns;
        const uint8_t *line = part.pixels + row * part.columns;
        for (Py_ssize_t k = 0; k < part.columns; k++) {
            out[k] |= line[k];
        }
    }
    PyMem_Free(part.pixels);
    return paired;
}

/* The mask of an object whose part k has the crossings up to ends[k]. */
static PyObject *fill_object(const Crossings *all, const Py_ssize_t *ends,
                             Py_ssize_t count) {
    Bitmap box = box_of(all->items, all->count);
    Py_ssize_t area = box.rows * box.columns;
    PyObject *pixels = PyByteArray_FromStringAndSize(NULL, area + box.columns);
    if (pixels == NULL || !area) {
        return describe(&box, pixels);
    }
    box.pixels = (uint8_t *)PyByteArray_AS_STRING(pixels);
    memset(box.pixels, 0, (size_t)(area + box.columns));
    int status = 1;
    if (count == 1) {
        status = fill(&box, all->items, all->count);
    }
    for (Py_ssize_t k = 0; count > 1 && status == 1 && k < count; k++) {
        Py_ssize_t begin = k ? ends[k - 1] : 0;
        status = overlay(&box, all->items + begin, ends[k] - begin);
    }
    if (status == 1) {
        return pack_bitmap(box, pixels, area);
    }
    Py_DECREF(pixels);
    return status == 0 ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(rasterise_doc,
"rasterise(parts, height, width)\n--\n\n"
"The union of the parts as pycocotools makes it: x, y, (rows, columns) and\n"
"a bytearray of the tight bitmap. None if a part is absurdly far away.");

static PyObject *rasterise(PyObject *self, PyObject *args) {
    PyObject *sequence;
    int height, width;
    Parts parts;
    if (!PyArg_ParseTuple(args, "Oii", &sequence, &height, &width) ||
        take_parts(sequence, &parts) < 0) {
        return NULL;
    }
    Crossings all = {NULL, 0, 0, Py_MAX(width, 0), Py_MAX(height, 0)};
    Py_ssize_t *ends = PyMem_New(Py_ssize_t, parts.count + 1);
    int status = 1;
    if (ends == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (Py_ssize_t k = 0; status == 1 && k < parts.count; k++) {
        status = cross_part(&all, points_of(&parts.views[k]),
                            vertices_of(&parts.views[k]));
        ends[k] = all.count;
    }
    PyObject *out = NULL;
    if (status == 1) {
        out = fill_object(&all, ends, parts.count);
    } else if (status == 0) {
        out = Py_NewRef(Py_None);
    }
    PyMem_Free(ends);
    PyMem_Free(all.items);
    release_parts(&parts);
    return out;
}

/* ---- jitter_boxes ----------------------------------------------------- */

/* Clips to 0 and `most`; what is not a number stays so. */
static float clip_side(float value, float most) {
    value = value < 0 ? 0 : value;
    return value > most ? most : value;
}

/* How a box moves along x (0) and y (1). */
typedef struct {
    float scale[2], resized[2], offset[2], window[2];
    int flip;
} Move;

/* One box in place; whether it is inside of the window, and whether cut. */
static void move_box(float *box, const Move *move, char *inside, char *cut) {
    *inside = 1;
    *cut = 0;
    for (int k = 0; k < 4; k++) {
        int axis = k % 2;
        float whole = clip_side(box[k] * move->scale[axis],
                                move->resized[axis]) - move->offset[axis];
        box[k] = clip_side(whole, move->window[axis]);
        *cut |= whole != box[k];
        *inside &= k < 2 ? !(box[k] >= move->window[axis]) : !(box[k] <= 0);
    }
    if (move->flip) {
        float left = box[0];
        box[0] = move->window[0] - box[2];
        box[2] = move->window[0] - left;
    }
}

/* Takes an array to be written to, of `bytes` bytes. */
static int take_output(PyObject *array, Py_ssize_t bytes, Py_buffer *view) {
    if (PyObject_GetBuffer(array, view, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    if (view->len != bytes) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_ValueError, "an array has the wrong size");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(jitter_boxes_doc,
"jitter_boxes(boxes, inside, cut, scale, resized, offset, window, flip)\n"
"--\n\n"
"Moves boxes, float32, in place and fills the two arrays of bool. The pairs\n"
"are (x, y).");

static PyObject *jitter_boxes(PyObject *self, PyObject *args) {
    PyObject *arrays[3];
    Move move;
    Py_buffer boxes, inside, cut;
    if (!PyArg_ParseTuple(
            args, "OOO(ff)(ff)(ff)(ff)p", &arrays[0], &arrays[1], &arrays[2],
            &move.scale[0], &move.scale[1], &move.resized[0],
            &move.resized[1], &move.offset[0], &move.offset[1],
            &move.window[0], &move.window[1], &move.flip) ||
        PyObject_GetBuffer(arrays[0], &boxes, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    Py_ssize_t count = boxes.len / (4 * (Py_ssize_t)sizeof(float));
    PyObject *out = NULL;
    if (take_output(arrays[1], count, &inside) == 0) {
        if (take_output(arrays[2], count, &cut) == 0) {
            for (Py_ssize_t k = 0; k < count; k++) {
                move_box((float *)boxes.buf + 4 * k, &move,
                         (char *)inside.buf + k, (char *)cut.buf + k);
            }
            out = Py_NewRef(Py_None);
            PyBuffer_Release(&cut);
        }
        PyBuffer_Release(&inside);
    }
    PyBuffer_Release(&boxes);
    return out;
}

/* ---- cut -------------------------------------------------------------- */

/* A bitmap that may be a part of a larger one. */
static int take_bitmap(PyObject *array, Py_buffer *view) {
    if (PyObject_GetBuffer(array, view, PyBUF_STRIDES) < 0) {
        return -1;
    }
    if (view->ndim != 2 || view->itemsize != 1 || view->strides[1] != 1) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_TypeError, "a bitmap must be rows of bytes");
        return -1;
    }
    return 0;
}

static const uint8_t *pixel(const Py_buffer *view, Py_ssize_t row,
                            Py_ssize_t column) {
    return (const uint8_t *)view->buf + row * view->strides[0] + column;
}

/* The pixels that two bitmaps share. */
typedef struct {
    Py_ssize_t x0, y0, x1, y1;
} Window;

/* How many pixels of `below`, whose corner is at (x, y), lie under `over`,
 * whose corner is at (over_x, over_y), both within the window. */
static Py_ssize_t count_hidden(const Py_buffer *below, Py_ssize_t x,
                               Py_ssize_t y, const Py_buffer *over,
                               Py_ssize_t over_x, Py_ssize_t over_y,
                               const Window *window) {
    Py_ssize_t hidden = 0;
    for (Py_ssize_t row = window->y0; row < window->y1; row++) {
        const uint8_t *under = pixel(below, row - y, window->x0 - x);
        const uint8_t *above = pixel(over, row - over_y, window->x0 - over_x);
        for (Py_ssize_t k = 0; k < window->x1 - window->x0; k++) {
            hidden += (under[k] != 0) & (above[k] != 0);
        }
    }
    return hidden;
}

/* A copy of `below`, without the pixels under `over`; its area before. */
static PyObject *copy_uncovered(const Py_buffer *below, Py_ssize_t x,
                                Py_ssize_t y, const Py_buffer *over,
                                Py_ssize_t over_x, Py_ssize_t over_y,
                                const Window *window, Py_ssize_t *area) {
    Py_ssize_t rows = below->shape[0], columns = below->shape[1];
    PyObject *copy = PyByteArray_FromStringAndSize(NULL, rows * columns);
    if (copy == NULL) {
        return NULL;
    }
    uint8_t *out = (uint8_t *)PyByteArray_AS_STRING(copy);
    *area = 0;
    for (Py_ssize_t row = 0; row < rows; row++) {
        const uint8_t *line = pixel(below, row, 0);
        for (Py_ssize_t k = 0; k < columns; k++) {
            *area += line[k] != 0;
        }
        memcpy(out + row * columns, line, (size_t)columns);
    }
    for (Py_ssize_t row = window->y0; row < window->y1; row++) {
        uint8_t *left = out + (row - y) * columns + window->x0 - x;
        const uint8_t *above = pixel(over, row - over_y, window->x0 - over_x);
        for (Py_ssize_t k = 0; k < window->x1 - window->x0; k++) {
            left[k] = above[k] ? 0 : left[k];
        }
    }
    return copy;
}

PyDoc_STRVAR(cut_doc,
"cut(bitmap, x, y, over, over_x, over_y)\n--\n\n"
"What is left of a mask under another one: its areas before and after, and\n"
"the tight patch as of rasterise. None if it loses no pixel.");

static PyObject *cut(PyObject *self, PyObject *args) {
    PyObject *bitmap, *other, *out = NULL;
    Py_ssize_t x, y, over_x, over_y;
    Py_buffer below, over;
    if (!PyArg_ParseTuple(args, "OnnOnn", &bitmap, &x, &y, &other, &over_x,
                          &over_y) ||
        take_bitmap(bitmap, &below) < 0) {
        return NULL;
    }
    if (take_bitmap(other, &over) < 0) {
        PyBuffer_Release(&below);
        return NULL;
    }
    Window window = {
        Py_MAX(x, over_x), Py_MAX(y, over_y),
        Py_MIN(x + below.shape[1], over_x + over.shape[1]),
        Py_MIN(y + below.shape[0], over_y + over.shape[0])};
    Py_ssize_t area, lost = count_hidden(&below, x, y, &over, over_x, over_y,
                                         &window);
    if (!lost) {
        out = Py_NewRef(Py_None);
    } else {
        PyObject *pixels = copy_uncovered(&below, x, y, &over, over_x, over_y,
                                          &window, &area);
        if (pixels != NULL) {
            Bitmap left = {(uint8_t *)PyByteArray_AS_STRING(pixels), x, y,
                           below.shape[0], below.shape[1]};
            out = Py_BuildValue(
                "nnN", area, area - lost,
                pack_bitmap(left, pixels, left.rows * left.columns));
        }
    }
    PyBuffer_Release(&over);
    PyBuffer_Release(&below);
    return out;
}

/* ---- resample --------------------------------------------------------- */

/* A half-open range. */
typedef struct {
    Py_ssize_t start, stop;
} Range;

/* Where a row of a banded matrix is not zero. */
static Range band_of(const float *row, Py_ssize_t count) {
    Range band = {0, count};
    while (band.start < band.stop && row[band.start] == 0) {
        band.start++;
    }
    while (band.stop > band.start && row[band.stop - 1] == 0) {
        band.stop--;
    }
    return band;
}

/* `line` becomes `weights @ mask` within some columns; the weights are zero
 * beyond `rows`. */
static void mix_rows(const float *weights, Range rows, const Py_buffer *mask,
                     Range columns, float *line) {
    for (Py_ssize_t x = columns.start; x < columns.stop; x++) {
        line[x] = 0;
    }
    for (Py_ssize_t y = rows.start; y < rows.stop; y++) {
        const uint8_t *from = pixel(mask, y, 0);
        float weight = weights[y];
        for (Py_ssize_t x = columns.start; x < columns.stop; x++) {
            line[x] += weight * from[x];
        }
    }
}

/* `out = down @ mask @ across.T`; `line` and `bands` are scratch memory for a
 * row of the mask and of `out`. */
static void resample_mask(const float *down, const float *across,
                          const Py_buffer *mask, const Py_buffer *out,
                          float *line, Range *bands) {
    Py_ssize_t height = mask->shape[0], width = mask->shape[1];
    Py_ssize_t rows = out->shape[0], columns = out->shape[1];
    Range used = {width, 0};
    for (Py_ssize_t j = 0; j < columns; j++) {
        bands[j] = band_of(across + j * width, width);
        if (bands[j].start < bands[j].stop) {
            used.start = Py_MIN(used.start, bands[j].start);
            used.stop = Py_MAX(used.stop, bands[j].stop);
        }
    }
    for (Py_ssize_t i = 0; i < rows; i++) {
        const float *weights = down + i * height;
        float *target = (float *)out->buf + i * columns;
        mix_rows(weights, band_of(weights, height), mask, used, line);
        for (Py_ssize_t j = 0; j < columns; j++) {
            target[j] = 0;
            for (Py_ssize_t x = bands[j].start; x < bands[j].stop; x++) {
                target[j] += line[x] * across[j * width + x];
            }
        }
    }
}

static int is_floats(const Py_buffer *view) {
    return view->format != NULL && strcmp(view->format, "f") == 0;
}

/* Takes a matrix of float32 in one piece, to be written to or not. */
static int take_matrix(PyObject *array, int flags, Py_buffer *view) {
    if (PyObject_GetBuffer(array, view,
                           PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | flags) < 0) {
        return -1;
    }
    if (view->ndim != 2 || !is_floats(view)) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_TypeError, "a matrix must be float32");
        return -1;
    }
    return 0;
}

static int do_shapes_fit(const Py_buffer *down, const Py_buffer *across,
                         const Py_buffer *mask, const Py_buffer *out) {
    return down->shape[0] == out->shape[0] &&
           down->shape[1] == mask->shape[0] &&
           across->shape[0] == out->shape[1] &&
           across->shape[1] == mask->shape[1];
}

static PyObject *resample_views(const Py_buffer *down,
                                const Py_buffer *across,
                                const Py_buffer *mask, const Py_buffer *out) {
    if (!do_shapes_fit(down, across, mask, out)) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not fit");
        return NULL;
    }
    float *line = PyMem_New(float, mask->shape[1] + 1);
    Range *bands = PyMem_New(Range, out->shape[1] + 1);
    PyObject *done = NULL;
    if (line == NULL || bands == NULL) {
        PyErr_NoMemory();
    } else {
        resample_mask(down->buf, across->buf, mask, out, line, bands);
        done = Py_NewRef(Py_None);
    }
    PyMem_Free(bands);
    PyMem_Free(line);
    return done;
}

PyDoc_STRVAR(resample_doc,
"resample(down, across, bitmap, out)\n--\n\n"
"Writes down @ bitmap @ across.T to `out`; all but the bitmap are float32.");

static PyObject *resample(PyObject *self, PyObject *args) {
    PyObject *arrays[4], *done = NULL;
    Py_buffer down, across, mask, out;
    if (!PyArg_ParseTuple(args, "OOOO", &arrays[0], &arrays[1], &arrays[2],
                          &arrays[3]) ||
        take_matrix(arrays[0], 0, &down) < 0) {
        return NULL;
    }
    if (take_matrix(arrays[1], 0, &across) == 0) {
        if (take_bitmap(arrays[2], &mask) == 0) {
            if (take_matrix(arrays[3], PyBUF_WRITABLE, &out) == 0) {
                done = resample_views(&down, &across, &mask, &out);
                PyBuffer_Release(&out);
            }
            PyBuffer_Release(&mask);
        }
        PyBuffer_Release(&across);
    }
    PyBuffer_Release(&down);
    return done;
}

/* ---- module ----------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"sound_parts", sound_parts, METH_VARARGS, sound_parts_doc},
    {"measure", measure, METH_O, measure_doc},
    {"clip", clip, METH_VARARGS, clip_doc},
    {"jitter_boxes", jitter_boxes, METH_VARARGS, jitter_boxes_doc},
    {"rasterise", rasterise, METH_VARARGS, rasterise_doc},
    {"cut", cut, METH_VARARGS, cut_doc},
    {"resample", resample, METH_VARARGS, resample_doc},
    {NULL, NULL, 0, NULL},
};

/* Grows with every change of a function's arguments or results, here and in
 * native.py. */
static int add_version(PyObject *module) {
    return PyModule_AddIntConstant(module, "VERSION", 3);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_version},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "Loops over vertices and mask pixels, compiled.",
    .m_size = 0,
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module); }
